package oidclogin_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/oidclogin"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

func TestALoginTellsTheUser(t *testing.T) {
	f := newFixture(t)
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		f.set(func(p *idp) { p.sign = p.signer(alg) })
		user, returnTo, err := f.complete(t, f.begin(t))
		expect.NoError(t, err)
		if user.Provider != access.OIDC || user.Issuer != f.issuer || user.Subject != "ann" || returnTo != "/wanted" ||
			!slices.Equal(user.Claims["groups"], []string{"lake", "ops"}) || user.Expires.Unix() != f.start.Add(time.Hour).Unix() {
			t.Errorf("%s: %+v, %q", alg, user, returnTo)
		}
	}
	if f.asked["/.well-known/openid-configuration"] != 1 || f.asked["/keys"] != 1 || !f.basic {
		t.Errorf("the provider was asked %v, by a header: %t", f.asked, f.basic)
	}
	f.now = f.now.Add(time.Hour)
	_, _, err := f.Begin(t.Context(), "/", false)
	expect.NoError(t, err)
	if n := f.asked["/.well-known/openid-configuration"]; n != 2 {
		t.Errorf("the provider was asked about itself %d times in an hour", n)
	}
}

func TestTheClientProvesItselfAsTheProviderTakesIt(t *testing.T) {
	for method, basic := range map[string]bool{"client_secret_basic": true, "client_secret_post": false} {
		f := newFixture(t)
		f.methods = []string{"private_key_jwt", method}
		_, _, err := f.complete(t, f.begin(t))
		expect.NoError(t, err)
		if f.basic != basic {
			t.Errorf("%s: by a header: %t", method, f.basic)
		}
	}
}

// forged are tokens that prove nothing, each by one difference from a right one.
func forged(f *fixture) map[string]func(*idp) {
	claim := func(name string, value any) func(*idp) {
		return func(p *idp) {
			p.claims = func(c jwt.MapClaims) {
				if c[name] = value; value == nil {
					delete(c, name)
				}
			}
		}
	}
	sign := func(method jwt.SigningMethod, key any, kid string) func(*idp) {
		return func(p *idp) { p.sign = signer(method, key, kid) }
	}
	in := func(d time.Duration) int64 { return f.start.Add(d).Unix() }
	foreign, _ := rsa.GenerateKey(rand.Reader, 2048)
	public := f.keys["RS256"].(*rsa.PrivateKey).PublicKey.N.Bytes() //nolint:forcetypeassert // made so
	return map[string]func(*idp){
		"no nonce":               claim("nonce", nil),
		"another nonce":          claim("nonce", rand.Text()),
		"no text as nonce":       claim("nonce", 1),
		"another audience":       claim("aud", "other"),
		"no audience":            claim("aud", nil),
		"audience with others":   claim("aud", []string{clientID, "other"}),
		"for another client":     claim("azp", "other"),
		"another issuer":         claim("iss", "https://evil.example.com"),
		"issuer with a slash":    claim("iss", f.issuer+"/"),
		"no issuer":              claim("iss", nil),
		"expired":                claim("exp", in(-31*time.Second)),
		"never expires":          claim("exp", nil),
		"issued in the future":   claim("iat", in(61*time.Second)),
		"not valid yet":          claim("nbf", in(61*time.Second)),
		"no subject":             claim("sub", nil),
		"empty subject":          claim("sub", ""),
		"number as subject":      claim("sub", 7),
		"too large":              claim("groups", strings.Repeat("x", limits.Token)),
		"not signed":             sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "key-RS256"),
		"signed by the secret":   sign(jwt.SigningMethodHS256, []byte(clientSecret), "key-RS256"),
		"signed by a public key": sign(jwt.SigningMethodHS256, public, "key-RS256"),
		"foreign key":            sign(jwt.SigningMethodRS256, foreign, "key-RS256"),
		"unknown key":            sign(jwt.SigningMethodRS256, foreign, "other"),
		"key without ID":         sign(jwt.SigningMethodRS256, f.keys["RS256"], ""),
		"weaker algorithm":       sign(jwt.SigningMethodRS512, f.keys["RS256"], "key-RS256"),
		"changed": func(p *idp) {
			p.sign = func(c jwt.MapClaims) string {
				parts := strings.Split(p.signer("RS256")(c), ".")
				parts[1] = base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin"}`))
				return strings.Join(parts, ".")
			}
		},
		"no token":   func(p *idp) { p.sign = func(jwt.MapClaims) string { return "" } },
		"no form":    func(p *idp) { p.sign = func(jwt.MapClaims) string { return "x" } },
		"no JSON":    answers(http.StatusOK, "x"),
		"nothing":    answers(http.StatusOK, "{}"),
		"bad client": answers(http.StatusUnauthorized, `{"error":"invalid_client"}`),
		"redirected": func(p *idp) {
			p.answer = func(w http.ResponseWriter, _ url.Values) bool {
				w.Header().Set("Location", p.issuer+"/elsewhere")
				w.WriteHeader(http.StatusTemporaryRedirect)
				return true
			}
		},
	}
}

func answers(code int, body string) func(*idp) {
	return func(p *idp) {
		p.answer = func(w http.ResponseWriter, _ url.Values) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	f := newFixture(t)
	_, _, err := f.complete(t, f.begin(t)) // so that the keys are known
	expect.NoError(t, err)
	for name, change := range forged(f) {
		f.set(func(p *idp) { p.claims, p.sign, p.answer = nil, nil, nil; change(p) })
		a := f.begin(t)
		user, _, err := f.complete(t, a)
		if !errors.Is(err, auth.ErrUnauthenticated) || user.Subject != "" {
			t.Errorf("%s: %+v, %v", name, user, err)
		}
		tells(t, err, a.query.Get("code"), clientSecret, "opaque-access-token", "eyJ")
	}
	if f.asked["/elsewhere"] > 0 {
		t.Error("the client follows redirects")
	}
	f.set(func(p *idp) { p.claims, p.sign, p.answer = nil, nil, nil })
	_, _, err = f.complete(t, f.begin(t))
	expect.NoError(t, err)
}

// tells reports an error that tells secrets.
func tells(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if err != nil && strings.Contains(err.Error(), s) {
			t.Errorf("the error tells %q: %v", s, err)
		}
	}
}

func TestACallbackNeedsTheLoginOfItsBrowser(t *testing.T) {
	f := newFixture(t)
	other, _, err := f.Begin(t.Context(), "/", false)
	expect.NoError(t, err)
	for name, change := range map[string]func(*attempt){
		"no cookie":      func(a *attempt) { a.cookie = nil },
		"changed cookie": func(a *attempt) { a.cookie.Value = "A" + a.cookie.Value[1:] },
		"empty cookie":   func(a *attempt) { a.cookie.Value = "" },
		"cut cookie":     func(a *attempt) { a.cookie.Value = a.cookie.Value[:40] },
		"large cookie":   func(a *attempt) { a.cookie.Value = strings.Repeat("A", 5000) },
		"name for TLS":   func(a *attempt) { a.cookie.Name = "__Host-" + a.cookie.Name },
		"no state":       func(a *attempt) { a.query.Del("state") },
		"empty state":    func(a *attempt) { a.query.Set("state", "") },
		"other state":    func(a *attempt) { a.query.Set("state", f.authorize(t, other).Get("state")) },
		"two states":     func(a *attempt) { a.query.Add("state", a.query.Get("state")) },
		"no code":        func(a *attempt) { a.query.Del("code") },
		"other code":     func(a *attempt) { a.query.Set("code", f.authorize(t, other).Get("code")) },
		"made-up code":   func(a *attempt) { a.query.Set("code", "x") },
		"two codes":      func(a *attempt) { a.query.Add("code", "x") },
		"long code":      func(a *attempt) { a.query.Set("code", strings.Repeat("x", limits.LoginCode+1)) },
		"an error, too":  func(a *attempt) { a.query.Set("error", "access_denied") },
		"a long error":   func(a *attempt) { a.query.Set("error", strings.Repeat("x", 100)) },
		"other issuer":   func(a *attempt) { a.query.Set("iss", "https://evil.example.com") },
		"too late":       func(*attempt) { f.now = f.now.Add(10 * time.Minute) },
	} {
		f.now = f.start
		a := f.begin(t)
		change(&a)
		user, _, err := f.complete(t, a)
		if !errors.Is(err, auth.ErrUnauthenticated) || user.Subject != "" || name == "too late" && !strings.Contains(err.Error(), "no login was begun") {
			t.Errorf("%s: %+v, %v", name, user, err)
		}
		if code := a.query.Get("code"); len(code) > 10 {
			tells(t, err, code)
		}
	}
	f.now = f.start
	a := f.begin(t)
	a.query.Set("iss", f.issuer)
	_, _, err = f.complete(t, a)
	expect.NoError(t, err)
}

func TestTwoCookiesProveNothing(t *testing.T) {
	f := newFixture(t)
	a, b := f.begin(t), f.begin(t)
	r := a.request(t)
	r.AddCookie(b.cookie)
	if _, _, err := f.Complete(t.Context(), r, false); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("two cookies: %v", err)
	}
}

func TestACookieIsForOneClient(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(*oidclogin.Config){
		"another client": func(c *oidclogin.Config) { c.ClientID = "other" },
		"another issuer": func(c *oidclogin.Config) { c.Issuer = "https://idp.example.com" },
	} {
		c := f.config
		change(&c)
		other, err := oidclogin.New(c)
		expect.NoError(t, err)
		if _, _, err := other.Complete(t.Context(), f.begin(t).request(t), false); !errors.Is(err, auth.ErrUnauthenticated) || !strings.Contains(err.Error(), "no login was begun") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The provider of the tests gives a token for a code as often as it is asked.
func TestALoginIsCompletedOnce(t *testing.T) {
	f := newFixture(t)
	a := f.begin(t)
	_, _, err := f.complete(t, a)
	expect.NoError(t, err)
	second, err := oidclogin.New(f.config) // of another coordinator
	expect.NoError(t, err)
	for name, l := range map[string]*oidclogin.Login{"here": f.Login, "elsewhere": second} {
		if _, _, err := l.Complete(t.Context(), a.request(t), false); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("again, %s: %v", name, err)
		}
	}
}

func TestStrangersStoreNothing(t *testing.T) {
	f := newFixture(t)
	before, err := f.bucket.Keys(t.Context(), "")
	expect.NoError(t, err)
	for range 10 {
		a := f.begin(t)
		a.query.Set("code", "x")
		_, _, _ = f.complete(t, a)
	}
	after, err := f.bucket.Keys(t.Context(), "")
	expect.NoError(t, err)
	if !slices.Equal(before, after) {
		t.Errorf("the bucket had %q and has %q", before, after)
	}
}

func TestTheCookieOfALogin(t *testing.T) {
	f := newFixture(t)
	for _, secure := range []bool{false, true} {
		location, c, err := f.Begin(t.Context(), "/", secure)
		expect.NoError(t, err)
		if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 ||
			strings.HasPrefix(c.Name, "__Host-") != secure || c.Valid() != nil {
			t.Errorf("secure %t: %+v", secure, c)
		}
		u, err := url.Parse(location)
		expect.NoError(t, err)
		raw, err := base64.RawURLEncoding.DecodeString(c.Value)
		expect.NoError(t, err)
		for _, secret := range []string{u.Query().Get("state"), u.Query().Get("nonce")} {
			if strings.Contains(string(raw), secret) {
				t.Error("the cookie is not encrypted")
			}
		}
	}
}

// unreachable is a bucket that cannot be written.
type unreachable struct{ kv.Bucket }

func (unreachable) Create(context.Context, string, []byte) (uint64, error) {
	return 0, errors.New("away")
}

func TestWithoutMemoryNobodyLogsIn(t *testing.T) {
	f := newFixture(t)
	f.config.Used = once.New(unreachable{}, time.Now)
	l, err := oidclogin.New(f.config)
	expect.NoError(t, err)
	if user, _, err := l.Complete(t.Context(), f.begin(t).request(t), false); err == nil || errors.Is(err, auth.ErrUnauthenticated) || user.Subject != "" {
		t.Errorf("%+v, %v", user, err)
	}
}

// FuzzCallback shows that no request of a stranger ends in a login, nor does one whose cookie
// holds any text.
func FuzzCallback(f *testing.F) {
	f.Add("rangefleet_oidc_login=AAAA", "", "code=x&state=y")
	f.Add("", "", "error=access_denied")
	f.Add("rangefleet_oidc_login=; rangefleet_oidc_login=", "", "state=&code=%00&code=")
	f.Add("", `{"state":"s","nonce":"n","verifier":"v","return_to":"/","expires":"2999-01-01T00:00:00Z"}`, "code=x&state=s")
	f.Add("", `{"state":"s","nonce":"n","verifier":"v","expires":"2999-01-01T00:00:00Z"}`, "code=x&state=s&iss=&error=no")
	fix := newFixture(f)
	fix.set(func(p *idp) { p.down = true })
	f.Fuzz(func(t *testing.T, cookie, text, query string) {
		if text != "" {
			cookie = "rangefleet_oidc_login=" + fix.config.Sealer.Seal(text, "oidc login", fix.issuer, clientID)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/oidc/callback", nil)
		r.URL.RawQuery, r.Header["Cookie"] = query, []string{cookie}
		for _, secure := range []bool{false, true} {
			if user, _, err := fix.Complete(t.Context(), r, secure); err == nil || user.Subject != "" {
				t.Errorf("%q %q: %+v, %v", cookie, query, user, err)
			}
		}
	})
}
