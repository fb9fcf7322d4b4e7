// Package oidclogin logs browsers in at an OpenID Connect provider, by the authorization code
// flow with PKCE.
//
// The browser carries a login while it is at the provider, in a cookie that only this package
// can read. Nothing is stored before the provider vouches for a user, so that strangers cannot
// fill any memory.
package oidclogin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Config is what logins at a provider are made of. All fields but ClientSecret and Scopes are
// required.
type Config struct {
	Issuer       string // URL of the provider, exactly as its tokens have it
	ClientID     string
	ClientSecret string   // "": the client is a public one
	Scopes       []string // that are asked for besides openid
	RedirectURL  string   // to which the provider sends browsers back
	Transport    http.RoundTripper
	Sealer       session.Sealer
	Used         *once.Store // logins that were completed
	Now          func() time.Time
}

// Login logs browsers in at one provider. Its methods may be called concurrently. An error of
// theirs that is not auth.ErrUnauthenticated says that the provider cannot be asked now: the
// client should try again. No error contains a code, a token or a secret.
type Login struct {
	cfg       Config
	discovery discovery
}

// New returns what logs in at a provider, which is not asked anything yet. The URLs must be
// https, or http of this machine.
func New(c Config) (*Login, error) {
	if err := checkURL(c.Issuer); err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	if err := checkURL(c.RedirectURL); err != nil {
		return nil, fmt.Errorf("the URL to return to: %w", err)
	}
	if _, err := access.ExternalUser(access.OIDC, c.Issuer, "x"); err != nil {
		return nil, err
	}
	if c.ClientID == "" {
		return nil, errors.New("a client ID is required")
	}
	return &Login{cfg: c, discovery: discovery{cfg: c, client: client(c.Transport)}}, nil
}

// CallbackPath is the path of RedirectURL that the API serves.
const CallbackPath = "/oidc/callback"

// Probe asks the provider about itself and for the keys that verify its tokens, each within five
// seconds. It returns how many keys there are, and needs neither Sealer nor Used.
func (l *Login) Probe(ctx context.Context) (keys int, err error) {
	idp, err := l.discovery.provider(ctx)
	if err != nil {
		return 0, err
	}
	return idp.tokens.Fetch(ctx)
}

// Begin begins a login, after which the browser is to go to a path. It returns the address of the
// provider to which to send the browser, and the cookie that the browser must show when it comes
// back, over TLS only if secure is set.
func (l *Login) Begin(ctx context.Context, returnTo string, secure bool) (location string, cookie *http.Cookie, err error) {
	idp, err := l.discovery.provider(ctx)
	if err != nil {
		return "", nil, err
	}
	p := pending{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		ReturnTo: returnTo, Expires: l.cfg.Now().Add(maxAway),
	}
	location = idp.oauth.AuthCodeURL(p.State, oauth2.S256ChallengeOption(p.Verifier), oidc.Nonce(p.Nonce))
	return location, p.cookie(l.cfg, secure), nil
}

// Complete returns for whom the provider vouches, and the path where the browser is to go, from
// the request with which the browser comes back. A login can be completed once. The error is
// auth.ErrUnauthenticated, with the reason, if the request proves nothing.
func (l *Login) Complete(ctx context.Context, r *http.Request, secure bool) (user auth.External, returnTo string, err error) {
	p, ok := open(l.cfg, r.Header, secure)
	if !ok {
		return auth.External{}, "", refused("no login was begun by this browser lately")
	}
	code, err := l.code(p, r.URL.Query())
	if err != nil {
		return auth.External{}, "", err
	}
	user, err = l.ask(ctx, code, p)
	if err != nil {
		return auth.External{}, "", err
	}
	first, err := l.cfg.Used.Use(ctx, "oidc "+p.State, p.Expires)
	if err == nil && !first {
		err = refused("the login was completed before")
	}
	if err != nil {
		return auth.External{}, "", err
	}
	return user, p.ReturnTo, nil
}

// ask asks the provider for whom it vouches by a code.
func (l *Login) ask(ctx context.Context, code string, p pending) (auth.External, error) {
	idp, err := l.discovery.provider(ctx)
	if err != nil {
		return auth.External{}, err
	}
	idToken, err := idp.exchange(ctx, code, p.Verifier)
	if err != nil {
		return auth.External{}, err
	}
	return l.verify(ctx, idp, idToken, p.Nonce)
}

// refused says why a login is refused.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{auth.ErrUnauthenticated}, args...)...)
}

// errorCode is what the codes of errors look like that a provider names.
var errorCode = regexp.MustCompile(`^[a-z_]{1,64}$`)

// code returns the authorization code of a callback's query.
func (l *Login) code(p pending, query url.Values) (string, error) {
	for _, name := range []string{"state", "code", "error", "iss"} {
		if len(query[name]) > 1 {
			return "", refused("%s is there twice", name)
		}
	}
	if !equal(query.Get("state"), p.State) {
		return "", refused("another state")
	}
	if iss := query.Get("iss"); query.Has("iss") && iss != l.cfg.Issuer {
		return "", refused("an answer of another issuer")
	}
	if e := query.Get("error"); errorCode.MatchString(e) {
		return "", refused("the provider answers %s", e)
	}
	code := query.Get("code")
	if code == "" || query.Has("error") || len(code) > limits.LoginCode {
		return "", refused("no code")
	}
	return code, nil
}

// verify returns for whom an ID token vouches.
func (l *Login) verify(ctx context.Context, idp *provider, idToken, nonce string) (auth.External, error) {
	s, err := idp.tokens.Verify(ctx, idToken)
	if errors.Is(err, token.ErrInvalid) {
		return auth.External{}, refused("the ID token: %v", err)
	}
	if err != nil {
		return auth.External{}, err
	}
	switch {
	case !slices.Equal(s.Claims["aud"], []string{l.cfg.ClientID}):
		return auth.External{}, refused("the ID token is for others, too")
	case s.Claims["azp"] != nil && !slices.Equal(s.Claims["azp"], []string{l.cfg.ClientID}):
		return auth.External{}, refused("the ID token was issued to another client")
	case len(s.Claims["nonce"]) != 1 || !equal(s.Claims["nonce"][0], nonce):
		return auth.External{}, refused("the ID token is of another login")
	}
	return auth.External{Provider: access.OIDC, Issuer: l.cfg.Issuer, Subject: s.ID, Claims: s.Claims, Expires: s.Expires}, nil
}

// equal compares texts in a time that tells nothing of them but their lengths.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
