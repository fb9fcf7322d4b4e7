package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/testclock"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
)

const issuerName = "https://idp.example.com/"

// issuer is an outside issuer whose keys are at a server, and a verifier of its tokens.
type issuer struct {
	*token.Outside
	clock *testclock.Clock
	url   string
	keys  map[string]crypto.Signer

	mu      sync.Mutex
	set     []byte // what the server answers
	status  int
	fetches int
}

func generate(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(t, err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	expect.NoError(t, err)
	return map[string]crypto.Signer{"rsa": r, "ec": e, "ed": ed}
}

// setOf returns the key set of the public keys.
func setOf(t testing.TB, keys map[string]crypto.Signer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for kid, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: kid, Key: k.Public()})
	}
	text, err := json.Marshal(set)
	expect.NoError(t, err)
	return text
}

func newIssuer(t testing.TB, c *testclock.Clock) *issuer {
	t.Helper()
	i := &issuer{clock: c, keys: generate(t), status: http.StatusOK}
	i.set = setOf(t, i.keys)
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	i.Outside = i.open(t, server.URL+"/keys")
	return i
}

func (i *issuer) open(t testing.TB, keys string) *token.Outside {
	t.Helper()
	o, err := token.NewOutside(token.OutsideConfig{
		Issuer: issuerName, Audience: "fleet", Keys: keys, Transport: http.DefaultTransport, Now: i.clock.Now,
	})
	expect.NoError(t, err)
	return o
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	if r.URL.Path == "/elsewhere" {
		http.Redirect(w, r, "/keys", http.StatusFound)
		return
	}
	w.WriteHeader(i.status)
	_, _ = w.Write(i.set)
}

// answer sets what the server answers.
func (i *issuer) answer(status int, set []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.set = status, set
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) token(t testing.TB, change func(*forged)) string {
	t.Helper()
	f := forged{
		header: map[string]any{"kid": "ed"}, method: jwt.SigningMethodEdDSA, key: i.keys["ed"],
		claims: jwt.MapClaims{"iss": issuerName, "aud": "fleet", "sub": "ann", "exp": i.clock.Now().Add(time.Hour).Unix(), "jti": "t1"},
	}
	if change != nil {
		change(&f)
	}
	return sign(t, f)
}

func TestTokensOfAnOutsideIssuer(t *testing.T) {
	c := testclock.New()
	i := newIssuer(t, c)
	public, err := json.Marshal(i.keys["rsa"].Public())
	expect.NoError(t, err)
	in := func(d time.Duration) int64 { return c.Now().Add(d).Unix() }
	with := func(kid string, m jwt.SigningMethod) func(*forged) {
		return func(f *forged) { f.header["kid"], f.method, f.key = kid, m, i.keys[kid] }
	}
	for name, tc := range map[string]struct {
		change func(*forged)
		ok     bool
	}{
		"Ed25519":                  {with("ed", jwt.SigningMethodEdDSA), true},
		"RSA":                      {with("rsa", jwt.SigningMethodRS256), true},
		"P-256":                    {with("ec", jwt.SigningMethodES256), true},
		"RS384":                    {with("rsa", jwt.SigningMethodRS384), false},
		"PS256":                    {with("rsa", jwt.SigningMethodPS256), false},
		"no algorithm":             {func(f *forged) { f.method, f.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, false},
		"HMAC with the public key": {func(f *forged) { f.header["kid"], f.method, f.key = "rsa", jwt.SigningMethodHS256, public }, false},
		"HMAC with a key's bytes": {func(f *forged) {
			f.method, f.key = jwt.SigningMethodHS256, []byte(i.keys["ed"].Public().(ed25519.PublicKey))
		}, false},
		"the ID of another key": {func(f *forged) { f.header["kid"] = "ec" }, false},
		"no key ID":             {func(f *forged) { delete(f.header, "kid") }, false},
		"its own key in it":     {func(f *forged) { f.header["jwk"], f.key = setOf(t, i.keys), generate(t)["ed"] }, false},
		"another audience":      {func(f *forged) { f.claims["aud"] = "other" }, false},
		"several audiences":     {func(f *forged) { f.claims["aud"] = []string{"other", "fleet"} }, true},
		"no audience":           {func(f *forged) { delete(f.claims, "aud") }, false},
		"another issuer":        {func(f *forged) { f.claims["iss"] = strings.TrimSuffix(issuerName, "/") }, false},
		"own issuer":            {func(f *forged) { f.claims["iss"] = token.OwnIssuer }, false},
		"no expiration":         {func(f *forged) { delete(f.claims, "exp") }, false},
		"expired":               {func(f *forged) { f.claims["exp"] = in(-31 * time.Second) }, false},
		"not yet":               {func(f *forged) { f.claims["nbf"] = in(61 * time.Second) }, false},
		"issued in the future":  {func(f *forged) { f.claims["iat"] = in(61 * time.Second) }, false},
		"issued at a text":      {func(f *forged) { f.claims["iat"] = "now" }, false},
		"no subject":            {func(f *forged) { delete(f.claims, "sub") }, false},
		"a subject of a number": {func(f *forged) { f.claims["sub"] = 5 }, false},
		"an empty subject":      {func(f *forged) { f.claims["sub"] = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := i.Verify(t.Context(), i.token(t, tc.change))
			if tc.ok && (err != nil || got.ID != "ann" || got.Token != "t1" || !got.Expires.Equal(c.Now().Add(time.Hour))) || !tc.ok && !errors.Is(err, token.ErrInvalid) {
				t.Errorf("Verify = %+v, %v, want success %t", got, err, tc.ok)
			}
		})
	}
	if n := i.count(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	if iss, err := token.Issuer(i.token(t, nil)); iss != i.Issuer() || err != nil {
		t.Errorf("Issuer = %q, %v", iss, err)
	}
}

func TestClaimsAreStringsOrBooleans(t *testing.T) {
	i := newIssuer(t, testclock.New())
	for _, tc := range []struct {
		claim any
		want  []string
	}{
		{nil, nil},
		{"a,b", []string{"a,b"}},
		{true, []string{"true"}},
		{false, []string{"false"}},
		{[]any{"a", 1, nil, []string{"x"}, "b"}, []string{"a", "b"}},
		{map[string]any{"a": "b"}, nil},
		{[]any{}, nil},
	} {
		got, err := i.Verify(t.Context(), i.token(t, func(f *forged) { f.claims["groups"] = tc.claim }))
		if err != nil || !slices.Equal(got.Claims["groups"], tc.want) {
			t.Errorf("claim %v: %q, %v", tc.claim, got.Claims["groups"], err)
		}
	}
}

// verifies checks whether a token of the key is accepted: yes, no, or that it is not known.
func (i *issuer) verifies(t *testing.T, what, kid string, key crypto.Signer, want error) {
	t.Helper()
	_, err := i.Verify(t.Context(), i.token(t, func(f *forged) { f.header["kid"], f.key = kid, key }))
	unknown := err != nil && !errors.Is(err, token.ErrInvalid)
	if want == nil && err != nil || errors.Is(want, token.ErrInvalid) != errors.Is(err, token.ErrInvalid) || errors.Is(want, errUnknown) != unknown {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

var errUnknown = errors.New("the keys cannot be read")

func TestKeysOfAnIssuerChange(t *testing.T) {
	c := testclock.New()
	i := newIssuer(t, c)
	old, fresh := i.keys["ed"], generate(t)["ed"]
	i.verifies(t, "old", "ed", old, nil)
	i.answer(http.StatusOK, setOf(t, map[string]crypto.Signer{"new": fresh}))
	c.Add(time.Minute - 1)
	for range 10 {
		i.verifies(t, "unknown, a moment after a fetch", "new", fresh, token.ErrInvalid)
	}
	c.Add(1)
	i.verifies(t, "new", "new", fresh, nil)
	i.verifies(t, "withdrawn", "ed", old, token.ErrInvalid)
	if n := i.count(); n != 2 {
		t.Errorf("%d fetches", n)
	}
	i.answer(http.StatusOK, setOf(t, i.keys))
	c.Add(5*time.Minute - 1)
	i.verifies(t, "in use", "new", fresh, nil)
	c.Add(1)
	i.verifies(t, "withdrawn", "new", fresh, token.ErrInvalid)
	i.verifies(t, "back", "ed", old, nil)
	if n := i.count(); n != 3 {
		t.Errorf("%d fetches", n)
	}
}

func TestAnIssuerThatDoesNotAnswer(t *testing.T) {
	c := testclock.New()
	i := newIssuer(t, c)
	good := i.set
	for _, bad := range []struct {
		status int
		set    []byte
	}{{500, good}, {200, nil}, {200, []byte("<html>")}, {200, []byte(`{"keys":[]}`)}, {200, append(slices.Repeat([]byte(" "), 256<<10), good...)}, {204, nil}} {
		i.answer(bad.status, bad.set)
		c.Add(10 * time.Second)
		i.verifies(t, "never fetched", "ed", i.keys["ed"], errUnknown)
	}
	n := i.count()
	i.answer(http.StatusOK, good)
	i.verifies(t, "just tried", "ed", i.keys["ed"], errUnknown)
	c.Add(10 * time.Second)
	i.verifies(t, "fetched", "ed", i.keys["ed"], nil)
	if i.count() != n+1 {
		t.Errorf("%d fetches, then %d", n, i.count())
	}
	i.answer(http.StatusBadGateway, nil)
	c.Add(time.Hour - 1)
	i.verifies(t, "known", "ed", i.keys["ed"], nil)
	i.verifies(t, "unknown", "new", i.keys["ed"], errUnknown)
	c.Add(1)
	i.verifies(t, "too old", "ed", i.keys["ed"], errUnknown)
}

func TestRedirectsToKeysAreNotFollowed(t *testing.T) {
	i := newIssuer(t, testclock.New())
	i.Outside = i.open(t, i.url+"/elsewhere")
	i.verifies(t, "redirected", "ed", i.keys["ed"], errUnknown)
	if i.count() != 1 {
		t.Errorf("%d requests", i.count())
	}
}

func TestKeysOfAFile(t *testing.T) {
	i := newIssuer(t, testclock.New())
	file := filepath.Join(t.TempDir(), "keys.json")
	i.Outside = i.open(t, file)
	i.verifies(t, "missing", "ed", i.keys["ed"], errUnknown)
	expect.NoError(t, os.WriteFile(file, i.set, 0o600))
	i.clock.Add(10 * time.Second)
	i.verifies(t, "there", "ed", i.keys["ed"], nil)
}

// Keys that cannot be used do not keep others from being used.
func TestUnusableKeysAreLeftOut(t *testing.T) {
	i := newIssuer(t, testclock.New())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	expect.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	expect.NoError(t, err)
	entries := []string{`{"kty":"new","kid":"a"}`, `{"kty":"oct","kid":"b","k":"AAAA"}`, `5`, `null`, `{}`}
	for _, k := range []jose.JSONWebKey{
		{KeyID: "ed", Key: i.keys["ed"], Algorithm: "EdDSA"}, // private
		{KeyID: "ed", Key: i.keys["ed"].Public(), Use: "enc"},
		{KeyID: "ed", Key: i.keys["ed"].Public(), Algorithm: "ES256"},
		{KeyID: "", Key: i.keys["ed"].Public()},
		{KeyID: "small", Key: small.Public()},
		{KeyID: "p384", Key: p384.Public()},
		{KeyID: "right", Key: i.keys["ed"].Public(), Use: "sig", Algorithm: "EdDSA"},
	} {
		text, err := json.Marshal(k)
		expect.NoError(t, err)
		entries = append(entries, string(text))
	}
	i.answer(http.StatusOK, []byte(`{"keys":[`+strings.Join(entries, ",")+`]}`))
	i.verifies(t, "usable", "right", i.keys["ed"], nil)
	for _, kid := range []string{"ed", "", "a", "b"} {
		i.verifies(t, kid, kid, i.keys["ed"], token.ErrInvalid)
	}
	for kid, f := range map[string]forged{"small": {method: jwt.SigningMethodRS256, key: small}, "p384": {method: jwt.SigningMethodES384, key: p384}} {
		text := i.token(t, func(g *forged) { g.header["kid"], g.method, g.key = kid, f.method, f.key })
		if _, err := i.Verify(t.Context(), text); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", kid, err)
		}
	}
	i.answer(http.StatusOK, []byte(`{"keys":[`+strings.Repeat(entries[len(entries)-1]+",", 100)+entries[len(entries)-1]+`]}`))
	i.clock.Add(5 * time.Minute)
	i.verifies(t, "more keys than are allowed", "none", i.keys["ed"], errUnknown)
}

func TestConfigurationsOfOutsideIssuersAreChecked(t *testing.T) {
	good := token.OutsideConfig{Issuer: issuerName, Audience: "a", Keys: "https://idp.example.com/keys", Transport: http.DefaultTransport, Now: time.Now}
	for _, keys := range []string{good.Keys, "http://localhost:1/k", "http://127.0.0.1/k", "http://[::1]:8/k", "/etc/keys.json"} {
		c := good
		c.Keys = keys
		if _, err := token.NewOutside(c); err != nil {
			t.Errorf("%s: %v", keys, err)
		}
	}
	for name, spoil := range map[string]func(c *token.OutsideConfig){
		"no issuer":   func(c *token.OutsideConfig) { c.Issuer = "" },
		"own issuer":  func(c *token.OutsideConfig) { c.Issuer = token.OwnIssuer },
		"no audience": func(c *token.OutsideConfig) { c.Audience = "" },
		"no keys":     func(c *token.OutsideConfig) { c.Keys = "" },
		"plain":       func(c *token.OutsideConfig) { c.Keys = "http://idp.example.com/keys" },
		"password":    func(c *token.OutsideConfig) { c.Keys = "https://u:p@idp.example.com/keys" },
		"no host":     func(c *token.OutsideConfig) { c.Keys = "https:///keys" },
		"ftp":         func(c *token.OutsideConfig) { c.Keys = "ftp://idp.example.com/keys" },
		"no URL":      func(c *token.OutsideConfig) { c.Keys = "https://idp\x7f/" },
	} {
		c := good
		spoil(&c)
		if _, err := token.NewOutside(c); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
