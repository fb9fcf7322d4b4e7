package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/testclock"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// away is a bucket that can be out of reach.
type away struct {
	kv.Bucket
	err error
}

func (b *away) GetLinearized(ctx context.Context, key string) ([]byte, uint64, error) {
	if b.err != nil {
		return nil, 0, b.err
	}
	return b.Bucket.GetLinearized(ctx, key)
}

func (b *away) Keys(ctx context.Context, prefix string) ([]string, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.Bucket.Keys(ctx, prefix)
}

// coordinator authenticates callers, as one of the processes of a fleet.
type coordinator struct {
	*auth.Authenticator
	users  *users.Store
	tokens *token.Ring
	sealer *auth.Sealer
}

// fleet is two coordinators that share a bucket, and an outside issuer of tokens.
type fleet struct {
	*testclock.Clock
	bucket *away
	nodes  [2]coordinator
	idp    ed25519.PrivateKey
	keys   string // file
}

const (
	idp      = "https://idp.example.com/"
	audience = "fleet"
)

func newFleet(t testing.TB, bucket kv.Bucket) *fleet {
	t.Helper()
	f := &fleet{Clock: testclock.New(), bucket: &away{Bucket: bucket}}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	expect.NoError(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "k", Key: public}}})
	expect.NoError(t, err)
	f.idp, f.keys = private, filepath.Join(t.TempDir(), "keys.json")
	expect.NoError(t, os.WriteFile(f.keys, set, 0o600))
	for i := range f.nodes {
		f.nodes[i] = f.start(t)
	}
	return f
}

func (f *fleet) start(t testing.TB) coordinator {
	t.Helper()
	ctx := t.Context()
	var n coordinator
	var err error
	n.sealer, err = auth.OpenSealer(ctx, f.bucket)
	expect.NoError(t, err)
	n.tokens, err = token.OpenRing(ctx, f.bucket, f.Now)
	expect.NoError(t, err)
	outside, err := token.NewOutside(token.OutsideConfig{Issuer: idp, Audience: audience, Keys: f.keys, Transport: http.DefaultTransport, Now: f.Now})
	expect.NoError(t, err)
	n.users = users.New(users.Config{Bucket: f.bucket, Now: f.Now})
	n.Authenticator = auth.NewAuthenticator(auth.Config{Users: n.users, Tokens: n.tokens, Outside: outside, Sealer: n.sealer, Groups: mapped, Now: f.Now})
	return n
}

// mapped puts those in the group Readers of whom the identity provider says that they read.
func mapped(issuer string, claims map[string][]string) []string {
	if issuer == idp && slices.Contains(claims["groups"], "reading") {
		return []string{"Readers"}
	}
	return nil
}

// ann is a user and all that proves who she is.
type ann struct {
	id, secret string
	begun      auth.Begun
}

func (f *fleet) ann(t testing.TB) ann {
	t.Helper()
	ctx, n := t.Context(), f.nodes[0]
	_, err := n.users.Create(ctx, "ann", users.SourceLocal)
	expect.NoError(t, err)
	key, secret, err := n.users.Keys().Create(ctx, "ann")
	expect.NoError(t, err)
	caller, err := n.Authenticate(ctx, auth.KeyPair(key.ID, secret))
	expect.NoError(t, err)
	begun, err := n.Begin(ctx, caller)
	expect.NoError(t, err)
	return ann{key.ID, secret, begun}
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

const authorization = "Authorization"

func cookie(c *http.Cookie) string { return c.Name + "=" + c.Value }

// ask returns who sent a request with some headers.
func (n coordinator) ask(t testing.TB, h http.Header) (access.Caller, error) {
	t.Helper()
	p, err := auth.Read(h)
	if err != nil {
		return access.Caller{}, err
	}
	return n.Authenticate(t.Context(), p)
}

// accepts checks who sent a request: a user, or "" for one that is refused.
func (n coordinator) accepts(t testing.TB, what string, h http.Header, user string) access.Caller {
	t.Helper()
	got, err := n.ask(t, h)
	if got.User != user || user != "" && err != nil || user == "" && !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("%s: %+v, %v, want %q", what, got, err, user)
	}
	return got
}

// onEach runs a test on an empty bucket of every implementation.
func onEach(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, newFleet(t, &kvtest.Memory{})) })
	t.Run("jetstream", func(t *testing.T) { test(t, newFleet(t, queuetest.Start(t).Bucket(kv.BucketAuth))) })
}

// outsideToken returns a token of the outside issuer.
func (f *fleet) outsideToken(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"iss": idp, "aud": audience, "sub": "ann", "jti": "t1", "exp": f.Now().Add(time.Hour).Unix()}
	for name, claim := range claims {
		all[name] = claim
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, all)
	unsigned.Header["kid"] = "k"
	text, err := unsigned.SignedString(f.idp)
	expect.NoError(t, err)
	return text
}

func (f *fleet) external(t testing.TB, p access.Provider) auth.Begun {
	t.Helper()
	b, err := f.nodes[0].BeginExternal(t.Context(), auth.External{
		Provider: p, Issuer: idp, Subject: "ann", Claims: map[string][]string{"groups": {"reading", "Admins"}}, Expires: f.Now().Add(24 * time.Hour),
	})
	expect.NoError(t, err)
	return b
}
