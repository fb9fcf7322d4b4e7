package server

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// oneUser authenticates one pair of keys. It begins no sessions.
type oneUser struct {
	Authenticator
	err error
}

func (u oneUser) Authenticate(_ context.Context, p auth.Presented) (access.Caller, error) {
	switch {
	case u.err != nil:
		return access.Caller{}, u.err
	case p == auth.KeyPair(testKey, testSecret):
		return access.Caller{User: "admin", Credential: access.Credential{Kind: access.AccessKey, ID: testKey}}, nil
	}
	return access.Caller{}, auth.ErrUnauthenticated
}

func (oneUser) Cheap(auth.Presented) bool { return true }

// authenticatorOf returns an authenticator of the users of a configuration.
func authenticatorOf(t testing.TB, c *Config, more ...func(*auth.Config)) *auth.Authenticator {
	t.Helper()
	ring, err := token.OpenRing(t.Context(), new(kvtest.Memory), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	a := auth.Config{
		Users: c.Users.(*users.Store), Tokens: ring, Sealer: c.Sealer, Now: c.Now,
		Groups: func(string, map[string][]string) []string { return nil },
	}
	for _, change := range more {
		change(&a)
	}
	return auth.NewAuthenticator(a)
}

const (
	testKey    = "AKIAEXAMPLE"
	testSecret = "correct horse battery staple"
)

// fixture is a server on fakes.
type fixture struct {
	http.Handler
	service *fakeService
	imports *fakeImports
	users   *users.Store
	metrics *prometheus.Registry
	log     *transcript.Buffer
	events  events
	clients byte // that have sent requests
}

func newFixture(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{
		service: &fakeService{statuses: map[string]coordinator.Status{}},
		imports: &fakeImports{},
		metrics: prometheus.NewRegistry(),
		log:     &transcript.Buffer{},
	}
	c := Config{
		Service:      f.service,
		Catalog:      fakeCatalog{},
		Branches:     fakeBranches{},
		Tags:         fakeTags{},
		Editor:       f.service,
		Imports:      f.imports,
		Differ:       f.service,
		Inspector:    fakeInspector{},
		Dumper:       fakeDumper{},
		Auth:         oneUser{},
		Grants:       func(_ context.Context, c access.Caller) (access.Grants, error) { return access.BuiltIn().Of(c), nil },
		Ready:        func(context.Context) error { return nil },
		Metrics:      promhttp.HandlerFor(f.metrics, promhttp.HandlerOpts{}),
		Registerer:   f.metrics,
		Log:          slog.New(slog.NewJSONHandler(canary.Tee(f.log), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Audit:        f.events.record,
		Sealer:       newSealer(t),
		Memory:       NewBudget(func(int) {}),
		NewRequestID: func() string { return "fresh-id" },
		Now:          func() time.Time { return created },
	}
	f.users = users.New(users.Config{Bucket: new(kvtest.Memory), Now: c.Now})
	c.Users, c.AccessKeys, c.UserSessions, c.Rules = f.users, f.users.Keys(), f.users.Sessions(), access.BuiltIn
	for _, f := range change {
		f(&c)
	}
	f.Handler = New(c)
	return f
}

// newSealer returns a sealer with a key of its own.
func newSealer(t testing.TB) *auth.Sealer {
	t.Helper()
	s, err := auth.OpenSealer(t.Context(), new(kvtest.Memory))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// basic is the header of credentials.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// do sends a request with the right credentials unless header sets others. It comes from an
// address of its own, so that no failed login slows another down.
func (f *fixture) do(method, target, body string, header http.Header) *httptest.ResponseRecorder {
	f.clients++
	return f.from(fmt.Sprintf("192.0.2.%d:1", f.clients), method, target, body, header)
}

// from is do, from an address.
func (f *fixture) from(address, method, target, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", basic(testKey, testSecret))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		r.Header[k] = v
	}
	r.RemoteAddr = address
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	canary.Exchange(r, w.Code, w.Header(), w.Body.Bytes())
	return w
}
