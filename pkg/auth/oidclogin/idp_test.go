package oidclogin_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/oidclogin"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

const (
	clientID     = "rangefleet"
	clientSecret = "secret/of the client"
	callback     = "http://127.0.0.1:1/oidc/callback"
)

// idp is an identity provider that does what a test tells it. Unlike a right one, it gives a
// token for any code, as often as it is asked.
type idp struct {
	server  *httptest.Server
	issuer  string
	start   time.Time      // when tokens are made
	keys    map[string]any // by algorithm
	methods []string       // token_endpoint_auth_methods_supported

	mu         sync.Mutex
	down       bool
	asked      map[string]int // calls by path
	challenges map[string]string
	nonces     map[string]string                                         // by code
	claims     func(jwt.MapClaims)                                       // changes what the next tokens say
	sign       func(jwt.MapClaims) string                                // makes the tokens; nil: signs by RS256
	answer     func(w http.ResponseWriter, form url.Values) (done bool)  // of the token endpoint
	document   func(map[string]any)                                      // changes the discovery document
	found      func(w http.ResponseWriter, r *http.Request) (taken bool) // answers discovery
	basic      bool                                                      // the client proved itself by a header
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	p := &idp{start: time.Now(), asked: map[string]int{}, challenges: map[string]string{}, nonces: map[string]string{}}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	expect.NoError(t, err)
	p.keys = map[string]any{"RS256": rsaKey, "ES256": ecKey, "EdDSA": edKey}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keySet)
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked[r.URL.Path]++
		if p.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	p.issuer = p.server.URL
	return p
}

func (p *idp) discovery(w http.ResponseWriter, r *http.Request) {
	if p.found != nil && p.found(w, r) {
		return
	}
	d := map[string]any{
		"issuer": p.issuer, "authorization_endpoint": p.issuer + "/auth", "token_endpoint": p.issuer + "/token", "jwks_uri": p.issuer + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
	}
	if p.methods != nil {
		d["token_endpoint_auth_methods_supported"] = p.methods
	}
	if p.document != nil {
		p.document(d)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(d)
}

func (p *idp) keySet(w http.ResponseWriter, _ *http.Request) {
	var set jose.JSONWebKeySet
	for alg, key := range p.keys {
		k := jose.JSONWebKey{Key: key, KeyID: "key-" + alg}
		set.Keys = append(set.Keys, k.Public())
	}
	_ = json.NewEncoder(w).Encode(set)
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if p.answer != nil && p.answer(w, r.PostForm) {
		return
	}
	code := r.PostFormValue("code")
	id, secret, basic := r.BasicAuth()
	p.basic = basic
	if !basic {
		id, secret = r.PostFormValue("client_id"), url.QueryEscape(r.PostFormValue("client_secret"))
	}
	digest := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	w.Header().Set("Content-Type", "application/json")
	if base64.RawURLEncoding.EncodeToString(digest[:]) != p.challenges[code] || id != clientID || secret != url.QueryEscape(clientSecret) ||
		r.PostFormValue("redirect_uri") != callback {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"code %s"}`, code)
		return
	}
	claims := jwt.MapClaims{
		"iss": p.issuer, "sub": "ann", "aud": clientID, "exp": p.start.Add(time.Hour).Unix(), "iat": p.start.Unix(), "nonce": p.nonces[code],
		"groups": []string{"lake", "ops"}, "email": "ann@example.com",
	}
	if p.claims != nil {
		p.claims(claims)
	}
	sign := p.sign
	if sign == nil {
		sign = p.signer("RS256")
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "opaque-access-token", "token_type": "Bearer", "id_token": sign(claims)})
}

// signer signs with one of the provider's keys.
func (p *idp) signer(alg string) func(jwt.MapClaims) string {
	return signer(jwt.GetSigningMethod(alg), p.keys[alg], "key-"+alg)
}

func signer(method jwt.SigningMethod, key any, kid string) func(jwt.MapClaims) string {
	return func(c jwt.MapClaims) string {
		t := jwt.NewWithClaims(method, c)
		t.Header["kid"] = kid
		text, err := t.SignedString(key)
		if err != nil {
			panic(err)
		}
		return text
	}
}

// set changes the provider.
func (p *idp) set(change func(*idp)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// authorize is the page of the provider: it returns the query with which it sends a browser back.
func (p *idp) authorize(t *testing.T, location string) url.Values {
	t.Helper()
	u, err := url.Parse(location)
	expect.NoError(t, err)
	q := u.Query()
	if !strings.HasPrefix(location, p.issuer+"/auth?") || q.Get("client_id") != clientID || q.Get("redirect_uri") != callback || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || q.Get("scope") != "openid groups" || q.Get("state") == "" || q.Get("nonce") == "" {
		t.Fatalf("the browser is sent to %s", location)
	}
	code := "code-" + rand.Text()
	p.set(func(p *idp) { p.challenges[code], p.nonces[code] = q.Get("code_challenge"), q.Get("nonce") })
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}

// fixture is a client of a provider.
type fixture struct {
	*idp
	*oidclogin.Login
	bucket *kvtest.Memory
	now    time.Time
	config oidclogin.Config
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{idp: newIDP(t), bucket: &kvtest.Memory{}}
	f.now = f.start
	sealer, err := auth.OpenSealer(t.Context(), f.bucket)
	expect.NoError(t, err)
	now := func() time.Time { return f.now }
	f.config = oidclogin.Config{
		Issuer: f.issuer, ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"groups"}, RedirectURL: callback,
		Transport: http.DefaultTransport, Sealer: sealer, Used: once.New(f.bucket, now), Now: now,
	}
	f.Login, err = oidclogin.New(f.config)
	expect.NoError(t, err)
	return f
}

// attempt is a login whose browser is back from the provider.
type attempt struct {
	cookie *http.Cookie
	query  url.Values
}

// begin begins a login and takes the browser to the provider.
func (f *fixture) begin(t *testing.T) attempt {
	t.Helper()
	location, cookie, err := f.Begin(t.Context(), "/wanted", false)
	expect.NoError(t, err)
	return attempt{cookie, f.authorize(t, location)}
}

func (a attempt) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/oidc/callback?"+a.query.Encode(), nil)
	if a.cookie != nil {
		r.AddCookie(a.cookie)
	}
	return r
}

func (f *fixture) complete(t *testing.T, a attempt) (auth.External, string, error) {
	t.Helper()
	return f.Complete(t.Context(), a.request(t), false)
}
