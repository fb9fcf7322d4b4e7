package oidclogin_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/oidclogin"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

func TestAProviderThatIsDown(t *testing.T) {
	f := newFixture(t)
	unavailable := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.set(func(p *idp) { p.down = true })
	for range 5 {
		_, _, err := f.Begin(t.Context(), "/", false)
		unavailable("a login", err)
	}
	if n := f.asked["/.well-known/openid-configuration"]; n != 1 {
		t.Errorf("the provider was asked %d times within a moment", n)
	}
	f.set(func(p *idp) { p.down = false })
	f.now = f.now.Add(10 * time.Second)
	a := f.begin(t)
	f.set(func(p *idp) { p.down = true })
	_, _, err := f.complete(t, a)
	unavailable("the exchange of a code", err)
	f.now = f.now.Add(2 * time.Hour) // what the provider said before is still believed
	_, _, err = f.Begin(t.Context(), "/", false)
	expect.NoError(t, err)
	f.server.Close()
	f.now = f.now.Add(-2 * time.Hour)
	_, _, err = f.complete(t, a)
	unavailable("a provider that is gone", err)
}

func TestBadDiscoveryIsRefused(t *testing.T) {
	field := func(name string, value any) func(*idp) {
		return func(p *idp) { p.document = func(d map[string]any) { d[name] = value } }
	}
	for name, change := range map[string]func(*idp){
		"another issuer":         field("issuer", "https://evil.example.com"),
		"keys in the clear":      field("jwks_uri", "http://idp.example.com/keys"),
		"tokens in the clear":    field("token_endpoint", "http://idp.example.com/token"),
		"login in the clear":     field("authorization_endpoint", "http://idp.example.com/auth"),
		"no keys":                field("jwks_uri", nil),
		"a file of keys":         field("jwks_uri", "/etc/passwd"),
		"a script":               field("authorization_endpoint", "javascript:alert(1)"),
		"keys of another type":   field("jwks_uri", 7),
		"more than is looked at": field("x", strings.Repeat("x", limits.KeySet)),
		"redirected": func(p *idp) {
			p.found = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "/keys", http.StatusFound)
				return true
			}
		},
	} {
		f := newFixture(t)
		f.set(change)
		if location, _, err := f.Begin(t.Context(), "/", false); err == nil || errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s: %s, %v", name, location, err)
		}
		if f.asked["/keys"] > 0 {
			t.Errorf("%s: the client followed", name)
		}
	}
}

func TestWrongConfigsAreRefused(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*oidclogin.Config){
		"no issuer":               func(c *oidclogin.Config) { c.Issuer = "" },
		"issuer in the clear":     func(c *oidclogin.Config) { c.Issuer = "http://idp.example.com" },
		"issuer that is no name":  func(c *oidclogin.Config) { c.Issuer = "https://idp.example.com/a|b" },
		"issuer with a user":      func(c *oidclogin.Config) { c.Issuer = "https://u:p@idp.example.com" },
		"no client":               func(c *oidclogin.Config) { c.ClientID = "" },
		"way back in the clear":   func(c *oidclogin.Config) { c.RedirectURL = "http://fleet.example.com/oidc/callback" },
		"way back is only a path": func(c *oidclogin.Config) { c.RedirectURL = "/oidc/callback" },
	} {
		c := f.config
		change(&c)
		if _, err := oidclogin.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
