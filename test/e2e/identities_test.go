package e2e_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// What the fleet of the tests knows of an outside issuer, and of its own tokens.
const (
	issuer      = "https://idp.example.com"
	ownIssuer   = "rangefleet"
	ownAudience = "login"
)

// identities is a fleet of two coordinators, its state, and an outside issuer of tokens.
type identities struct {
	t       *testing.T
	first   *fleet
	second  *fleet
	bucket  kv.Bucket // of users and sessions
	issuing *rsa.PrivateKey
}

// newIdentities starts a fleet whose users have rules.
func newIdentities(t *testing.T) *identities {
	t.Helper()
	i := &identities{t: t}
	var err error
	i.issuing, err = rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	keys := filepath.Join(t.TempDir(), "keys.json")
	writeText(t, keys, fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k1","alg":"RS256","use":"sig","n":%q,"e":%q}]}`,
		encode(i.issuing.N.Bytes()), encode(big.NewInt(int64(i.issuing.E)).Bytes())))
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	writeText(t, rules, `
groups:
  - {id: Importers, policies: [FSFullAccess], members: [ann, bob, carol]}
mappings:
  - {issuer: "`+issuer+`", claim: groups, value: importers, group: Importers}
`)
	i.first = newFleet(t, smallBreaks, shape{nats: 1, workers: 1},
		"RANGEFLEET_AUTH_JWT_ISSUER="+issuer, "RANGEFLEET_AUTH_JWT_AUDIENCE=rangefleet", "RANGEFLEET_AUTH_JWT_JWKS="+keys, "RANGEFLEET_ACCESS_FILE="+rules)
	i.second = i.first.join()
	i.bucket = i.state()
	return i
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	expect.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// state connects to the bucket of users and sessions.
func (i *identities) state() kv.Bucket {
	i.t.Helper()
	var url string
	for _, setting := range i.first.own {
		if after, ok := strings.CutPrefix(setting, "RANGEFLEET_NATS_URL="); ok {
			url = after
		}
	}
	b, err := backend.Connect(i.t.Context(), natsconn.Config{URL: url}, backend.Options{})
	expect.NoError(i.t, err)
	i.t.Cleanup(b.Close)
	return b.Bucket(kv.BucketAuth)
}

// authenticator returns one more authenticator of the fleet, which believes that it is another
// time.
func (i *identities) authenticator(since time.Duration) *auth.Authenticator {
	i.t.Helper()
	now := func() time.Time { return time.Now().Add(since) }
	ring, err := token.OpenRing(i.t.Context(), i.bucket, now)
	expect.NoError(i.t, err)
	sealer, err := auth.OpenSealer(i.t.Context(), i.bucket)
	expect.NoError(i.t, err)
	store := users.New(users.Config{Bucket: i.bucket, Now: now})
	groups := func(string, map[string][]string) []string { return []string{"Importers"} }
	return auth.NewAuthenticator(auth.Config{Users: store, Tokens: ring, Sealer: sealer, Groups: groups, Now: now})
}

// external returns the cookie of a session that an identity provider vouched for, some time ago.
func (i *identities) external(p access.Provider, ago time.Duration) *http.Cookie {
	i.t.Helper()
	a := i.authenticator(-ago)
	begun, err := a.BeginExternal(i.t.Context(), auth.External{Provider: p, Issuer: issuer, Subject: "eve", Expires: time.Now().Add(time.Hour - ago)})
	expect.NoError(i.t, err)
	return begun.Cookie(false)
}

// asked is a request of a test.
type asked struct {
	method, path, body string
	header             http.Header
}

// send sends a request to a coordinator, and returns its answer with the body.
func (f *fleet) send(r asked) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), r.method, "http://"+f.api+r.path, strings.NewReader(r.body))
	expect.NoError(f.t, err)
	req.Header.Set("Content-Type", "application/json")
	for name, values := range r.header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	expect.NoError(f.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	expect.NoError(f.t, err)
	return resp, strings.TrimSpace(string(text))
}

// wants sends a request and checks its answer.
func (f *fleet) wants(what string, r asked, code int, body string) {
	f.t.Helper()
	if resp, got := f.send(r); resp.StatusCode != code || body != "" && got != body {
		f.t.Errorf("%s: %s %s: %d %.200s, want %d %s", what, r.method, r.path, resp.StatusCode, got, code, body)
	}
}

// person is a user who has logged in.
type person struct {
	name, id, secret string
	token            string
	cookie           *http.Cookie
}

// person makes a user with an access key, and logs in.
func (i *identities) person(name string) person {
	i.t.Helper()
	ctx := i.t.Context()
	_, err := i.first.client.CreateUser(ctx, name)
	expect.NoError(i.t, err)
	key, err := i.first.client.CreateAccessKey(ctx, name)
	expect.NoError(i.t, err)
	p := person{name: name, id: key.AccessKeyID, secret: key.SecretAccessKey}
	resp, text := i.first.send(asked{"POST", "/api/v1/auth/login", p.login(), nil})
	var got api.AuthenticationToken
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(resp.Cookies()) != 1 {
		i.t.Fatalf("login: %d %s", resp.StatusCode, text)
	}
	p.token, p.cookie = got.Token, resp.Cookies()[0]
	return p
}

func (p person) login() string {
	return fmt.Sprintf(`{"access_key_id":%q,"secret_access_key":%q}`, p.id, p.secret)
}

func (p person) key() http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(p.id+":"+p.secret))}}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func cookie(name, value string) http.Header { return http.Header{"Cookie": {name + "=" + value}} }

func cookieOf(c *http.Cookie) http.Header { return cookie(c.Name, c.Value) }

// claims are those of a token.
type claims map[string]any

// with returns claims with others, nil for none.
func (c claims) with(others claims) claims {
	all := claims{}
	for _, part := range []claims{c, others} {
		for name, v := range part {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
	}
	return all
}

// seconds returns a time as claims have it.
func seconds(from time.Duration) int64 { return time.Now().Add(from).Unix() }

// signed returns a token whose signature sign makes.
func signed(header string, c claims, sign func(text []byte) []byte) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode(payload)
	return text + "." + encode(sign([]byte(text)))
}

func hs256(key []byte) func([]byte) []byte {
	return func(text []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(text)
		return h.Sum(nil)
	}
}

func rs256(key *rsa.PrivateKey) func([]byte) []byte {
	return func(text []byte) []byte {
		digest := sha256.Sum256(text)
		s, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return s
	}
}

// outside returns a token of the outside issuer.
func (i *identities) outside(c claims) string {
	all := claims{"iss": issuer, "aud": "rangefleet", "sub": "robot", "groups": []string{"importers"}, "iat": seconds(0), "exp": seconds(time.Hour)}.with(c)
	return signed(`{"alg":"RS256","kid":"k1"}`, all, rs256(i.issuing))
}

// ring returns the ID and the secret of the key that signs the fleet's own tokens.
func (i *identities) ring() (kid string, secret []byte) {
	i.t.Helper()
	value, _, err := i.bucket.Get(i.t.Context(), "ring")
	expect.NoError(i.t, err)
	var keys []struct {
		ID     string `json:"kid"`
		Secret []byte `json:"hs256"`
	}
	expect.NoError(i.t, json.Unmarshal(value, &keys))
	return keys[0].ID, keys[0].Secret
}

// publicKey returns the issuer's public key as it is published.
func (i *identities) publicKey() []byte {
	return x509.MarshalPKCS1PublicKey(&i.issuing.PublicKey)
}

// payload returns what a token says.
func payload(t *testing.T, token string) (c claims) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	expect.NoError(t, err)
	expect.NoError(t, json.Unmarshal(text, &c))
	return c
}

// ended waits until a coordinator knows nobody by a header any more, and tells what it took.
func (f *fleet) ended(what string, header http.Header) {
	f.t.Helper()
	begun := time.Now()
	expect.Within(f.t, patience, what, func(context.Context) (bool, error) {
		resp, text := f.send(asked{"GET", "/api/v1/user", "", header})
		if resp.StatusCode != http.StatusOK && text != authN {
			return false, fmt.Errorf("%d %s", resp.StatusCode, text)
		}
		return resp.StatusCode == http.StatusUnauthorized, nil
	})
	f.t.Logf("%s: took %v", what, time.Since(begun).Round(time.Millisecond))
}
