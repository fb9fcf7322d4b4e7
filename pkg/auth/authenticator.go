package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
)

// ErrUnauthenticated says that what a request presents proves nothing. Clients must not be told
// more.
var ErrUnauthenticated = errors.New("error authenticating request")

// wrongSecret is the ErrUnauthenticated of an access key that exists.
type wrongSecret struct{ accessKeyID string }

func (wrongSecret) Error() string { return ErrUnauthenticated.Error() }
func (wrongSecret) Unwrap() error { return ErrUnauthenticated }

// KnownKey returns the access key that an ErrUnauthenticated is about; "" if it was shown none that
// exists. Clients must not be told.
func KnownKey(err error) string {
	wrong, _ := errors.AsType[wrongSecret](err)
	return wrong.accessKeyID
}

// Config is what an Authenticator is made of. All fields but Outside and Required are required.
type Config struct {
	Users   *users.Store
	Tokens  *token.Ring
	Outside *token.Outside // nil: no tokens of another issuer are accepted
	Sealer  *Sealer        // of cookies
	// Groups returns the groups of a user of an identity provider whose claims were verified.
	Groups func(issuer string, claims map[string][]string) []string
	// Required are the claims that users of a provider need to log in; those of a provider that is
	// missing need none.
	Required map[access.Provider]Required
	Now      func() time.Time
}

// Authenticator knows callers by what they present. Its methods may be called concurrently. An
// error other than those that a method names says that nobody can be known now: the caller
// should try again.
//
// A change by another process takes effect within recent.MaxAge.
type Authenticator struct{ cfg Config }

// NewAuthenticator returns an authenticator.
func NewAuthenticator(c Config) *Authenticator { return &Authenticator{c} }

// Authenticate returns who presents something, or ErrUnauthenticated.
func (a *Authenticator) Authenticate(ctx context.Context, p Presented) (access.Caller, error) {
	switch p.scheme {
	case jwtToken:
		return a.byToken(ctx, p.text)
	case basicAuth:
		return a.byAccessKey(ctx, p.accessKeyID, p.text)
	default:
		for _, k := range kinds {
			if k.scheme == p.scheme {
				return a.byCookie(ctx, k.kind, p.text)
			}
		}
		return access.Caller{}, ErrUnauthenticated
	}
}

// Cheap reports whether a wrong guess of what is presented costs the bucket nothing. Those of access
// keys do that were not used here since the process started.
func (a *Authenticator) Cheap(p Presented) bool {
	return p.scheme != basicAuth || a.cfg.Users.Keys().Known(p.accessKeyID)
}

// unless returns an error, or ErrUnauthenticated if there is none.
func unless(err error) error {
	if err == nil {
		return ErrUnauthenticated
	}
	return err
}

func (a *Authenticator) byAccessKey(ctx context.Context, id, secret string) (access.Caller, error) {
	user, ok, err := a.cfg.Users.Keys().Authenticate(ctx, id, secret)
	switch {
	case err != nil:
		return access.Caller{}, err
	case !ok && user != "":
		return access.Caller{}, wrongSecret{id}
	case !ok:
		return access.Caller{}, ErrUnauthenticated
	}
	return access.Caller{User: user, Credential: access.Credential{Kind: access.AccessKey, ID: id}}, nil
}

func (a *Authenticator) byToken(ctx context.Context, text string) (access.Caller, error) {
	issuer, err := token.Issuer(text)
	if err == nil && a.cfg.Outside != nil && issuer == a.cfg.Outside.Issuer() {
		return a.byOutsideToken(ctx, text)
	}
	claims, err := a.cfg.Tokens.Verify(ctx, text)
	if errors.Is(err, token.ErrInvalid) {
		return access.Caller{}, ErrUnauthenticated
	}
	if err != nil {
		return access.Caller{}, err
	}
	return a.bySession(ctx, session.Internal, access.Token, claims.User, claims.Session)
}

func (a *Authenticator) byCookie(ctx context.Context, kind session.Kind, value string) (access.Caller, error) {
	user, id, ok := session.Open(a.cfg.Sealer, kind, value)
	if !ok {
		return access.Caller{}, ErrUnauthenticated
	}
	return a.bySession(ctx, kind, access.Session, user, id)
}

// bySession returns the user of a session, if it is of the kind and has not ended.
func (a *Authenticator) bySession(ctx context.Context, kind session.Kind, shown access.CredentialKind, user, id string) (access.Caller, error) {
	s, ok, err := a.cfg.Users.Sessions().Find(ctx, user, id)
	if err != nil || !ok || s.Kind != string(kind) {
		return access.Caller{}, unless(err)
	}
	return access.Caller{User: user, Groups: s.Groups, Credential: access.Credential{Kind: shown, ID: id}}, nil
}

// outsideID starts the IDs of credentials that are tokens of an outside issuer. No ID of a
// session starts with it.
const outsideID = "jwt:"

func (a *Authenticator) byOutsideToken(ctx context.Context, text string) (access.Caller, error) {
	s, err := a.cfg.Outside.Verify(ctx, text)
	if errors.Is(err, token.ErrInvalid) {
		return access.Caller{}, ErrUnauthenticated
	}
	if err != nil {
		return access.Caller{}, err
	}
	user, err := access.ExternalUser(access.OIDC, a.cfg.Outside.Issuer(), s.ID)
	if err != nil {
		return access.Caller{}, ErrUnauthenticated
	}
	return access.Caller{
		User: user, Groups: a.cfg.Groups(a.cfg.Outside.Issuer(), s.Claims),
		Credential: access.Credential{Kind: access.Token, ID: outsideID + s.Token},
	}, nil
}

// Stands reports whether what a caller began may go on: at some moment since the call the user
// exists, and the access key or session that it showed was not revoked. Sessions and tokens may
// have expired or ended by a logout since. A token of an outside issuer stands as long as that
// issuer is trusted.
func (a *Authenticator) Stands(ctx context.Context, c access.Caller) (bool, error) {
	switch {
	case c.Credential.Kind == access.AccessKey:
		return a.cfg.Users.Keys().Exists(ctx, c.User, c.Credential.ID)
	case c.Credential.Kind == access.Token && strings.HasPrefix(c.Credential.ID, outsideID):
		return a.isOutside(c.User), nil
	case c.Credential.Kind == access.Token, c.Credential.Kind == access.Session:
		return a.cfg.Users.Sessions().Stands(ctx, c.User, c.Credential.ID)
	}
	return false, nil
}

// isOutside reports whether a user is one of the outside issuer.
func (a *Authenticator) isOutside(user string) bool {
	if a.cfg.Outside == nil {
		return false
	}
	const subject = "x"
	name, err := access.ExternalUser(access.OIDC, a.cfg.Outside.Issuer(), subject)
	return err == nil && strings.HasPrefix(user, strings.TrimSuffix(name, subject))
}

// ReplaceKeys replaces the keys of tokens, as they may be known to others. All tokens end, in other
// processes within recent.MaxAge, and those may refuse new tokens as long. Sessions go on by their
// cookies.
func (a *Authenticator) ReplaceKeys(ctx context.Context) error { return a.cfg.Tokens.Replace(ctx) }

// Sweep removes sessions that have expired, and keys of tokens that nothing needs any more, and
// makes a new key of tokens once a month. It should be called every hour or so. It may be called
// at any time, and in any number of processes.
func (a *Authenticator) Sweep(ctx context.Context) error {
	return errors.Join(a.cfg.Users.Sweep(ctx), a.cfg.Tokens.Maintain(ctx))
}
