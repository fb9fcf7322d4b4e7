package auth

import (
	"context"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Begun is a session that a login began.
type Begun struct {
	Token   string // proves the session in an Authorization header; "" if it is a provider's
	Expires time.Time

	auth *Authenticator
	kind session.Kind
	user string
	id   string

	groups []string
}

// Cookie returns the cookie of the session, for connections with TLS only if secure is set.
func (b Begun) Cookie(secure bool) *http.Cookie {
	return session.Cookie(b.auth.cfg.Sealer, b.kind, b.user, b.id, b.auth.cfg.Now(), b.Expires, secure)
}

// Caller returns whose session it is.
func (b Begun) Caller() access.Caller {
	return access.Caller{User: b.user, Groups: b.groups, Credential: access.Credential{Kind: access.Session, ID: b.id}}
}

// Begin begins a session of a caller who has just shown an access key. What a session or token
// proves does not suffice: it would never end. Then the error is a Denied fault.
func (a *Authenticator) Begin(ctx context.Context, c access.Caller) (Begun, error) {
	if c.Credential.Kind != access.AccessKey {
		return Begun{}, fault.Deny("a session is begun with an access key")
	}
	b, err := a.begin(ctx, session.Internal, users.Login{
		User: c.User, Key: c.Credential.ID, Expires: a.cfg.Now().Add(session.MaxLife),
	})
	if err != nil {
		return Begun{}, err
	}
	b.Token, err = a.cfg.Tokens.Issue(ctx, token.Claims{User: c.User, Session: b.id, Expires: b.Expires})
	return b, err
}

// External is a user for whom an identity provider vouches. All of it was verified.
type External struct {
	Provider access.Provider
	Issuer   string
	Subject  string
	Claims   map[string][]string
	Expires  time.Time // of what the provider says
}

// BeginExternal begins a session of a user of an identity provider, which lasts no longer than
// what the provider says. It is ErrUnauthenticated if the subject cannot be the name of a user, and
// a Forbidden fault if the user lacks a claim that is required. Then nothing is stored.
func (a *Authenticator) BeginExternal(ctx context.Context, e External) (Begun, error) {
	user, err := access.ExternalUser(e.Provider, e.Issuer, e.Subject)
	now := a.cfg.Now()
	if err != nil || !now.Before(e.Expires) {
		return Begun{}, ErrUnauthenticated
	}
	if err := a.cfg.Required[e.Provider].check(e.Claims); err != nil {
		return Begun{}, err
	}
	kind := session.OIDC
	if e.Provider == access.SAML {
		kind = session.SAML
	}
	expires := now.Add(session.MaxLife)
	if e.Expires.Before(expires) {
		expires = e.Expires
	}
	return a.begin(ctx, kind, users.Login{
		User: user, Source: string(e.Provider), Groups: a.cfg.Groups(e.Issuer, e.Claims), Expires: expires,
	})
}

func (a *Authenticator) begin(ctx context.Context, kind session.Kind, l users.Login) (Begun, error) {
	l.Kind = string(kind)
	s, err := a.cfg.Users.Sessions().Begin(ctx, l)
	return Begun{Expires: s.Expires, auth: a, kind: kind, user: l.User, id: s.ID, groups: s.Groups}, err
}

// End ends the session that a caller showed, by its cookie or token. A caller who showed
// something else has none.
func (a *Authenticator) End(ctx context.Context, c access.Caller) error {
	if c.Credential.Kind != access.Session && c.Credential.Kind != access.Token {
		return nil
	}
	return a.cfg.Users.Sessions().End(ctx, c.User, c.Credential.ID)
}
