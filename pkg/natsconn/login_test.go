package natsconn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/certfile"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// newSeed returns the file of a new nkey's seed, and its public key.
func newSeed(t *testing.T) (file, public string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	expect.NoError(t, err)
	seed, err := pair.Seed()
	expect.NoError(t, err)
	public, err = pair.PublicKey()
	expect.NoError(t, err)
	return writeFile(t, append(seed, '\n')), public
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	expect.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// works returns why a backend cannot be created with the login, or used by a worker, or nil. A refused client
// retries until its context ends, so works ends that at the first refusal.
func works(t *testing.T, cfg natsconn.Config) (err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := &firstWarning{then: cancel}
	cfg.Log = slog.New(slog.NewTextHandler(refused, nil))
	q, err := backend.Connect(ctx, cfg, backend.Options{})
	if err != nil {
		return err
	}
	defer q.Close()
	ctx, cancel = context.WithTimeout(t.Context(), expect.Patience)
	defer cancel()
	if cfg.Role == natsconn.Worker {
		_, err = q.Queue.OutstandingCount(ctx, "import")
		return err
	}
	return q.Ensure(ctx)
}

// firstWarning calls a function once something is logged.
type firstWarning struct{ then func() }

func (f *firstWarning) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("level=WARN")) {
		f.then()
	}
	return len(p), nil
}

// served returns a server's TLS with a certificate. Its clients need one of an authority, if that is
// not "".
func served(t *testing.T, cert, key, ca string) *tls.Config {
	t.Helper()
	pair, err := certfile.Open(certfile.Config{
		CertFile: cert, KeyFile: key, CAFile: ca, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Use: "nats",
	})
	expect.NoError(t, err)
	return pair.TLS()
}

func TestLoginToTheEmbeddedServer(t *testing.T) {
	ours, theirs := certs.New(t), certs.New(t)
	cert, key := ours.Issue("server")
	clientCert, clientKey := ours.Issue("client")
	otherCert, otherKey := theirs.Issue("stranger")
	seed, public := newSeed(t)
	otherSeed, _ := newSeed(t)
	user := natsd.Access{User: "fleet", Password: "p@ss/word"}
	tls := natsd.Access{User: "fleet", Password: "p@ss/word", TLS: served(t, cert, key, "")}
	mutual := natsd.Access{TLS: served(t, cert, key, ours.File)}
	both := natsd.Access{User: "fleet", Password: "p@ss/word", TLS: served(t, cert, key, ours.File)}
	login := natsconn.Login{User: "fleet", Password: "p@ss/word"}
	trusting := natsconn.Login{User: "fleet", Password: "p@ss/word", CAFile: ours.File}
	certified := natsconn.Login{CAFile: ours.File, CertFile: clientCert, KeyFile: clientKey}
	for _, tc := range []struct {
		name   string
		access natsd.Access
		login  natsconn.Login
		ok     bool
	}{
		{"no access control", natsd.Access{}, natsconn.Login{}, true},
		{"no login", user, natsconn.Login{}, false},
		{"a password", user, login, true},
		{"a wrong password", user, natsconn.Login{User: "fleet", Password: "p@ss"}, false},
		{"a wrong user", user, natsconn.Login{User: "other", Password: "p@ss/word"}, false},
		{"the internal user", user, natsconn.Login{User: "rangefleet-inside", Password: ""}, false},
		{"an nkey", natsd.Access{NKeys: []string{public}}, natsconn.Login{SeedFile: seed}, true},
		{"the nkey of the server's own file", natsd.Access{SeedFile: seed}, natsconn.Login{SeedFile: seed}, true},
		{"another nkey", natsd.Access{NKeys: []string{public}}, natsconn.Login{SeedFile: otherSeed}, false},
		{"a password for an nkey", natsd.Access{NKeys: []string{public}}, login, false},
		{"either", natsd.Access{User: "fleet", Password: "p@ss/word", NKeys: []string{public}}, natsconn.Login{SeedFile: seed}, true},
		{"TLS of a trusted CA", tls, trusting, true},
		{"TLS of a CA that is not trusted", tls, login, false},
		{"TLS of another CA", tls, natsconn.Login{User: "fleet", Password: "p@ss/word", CAFile: theirs.File}, false},
		{"a server without TLS", user, trusting, false},
		{"TLS without a password", tls, natsconn.Login{CAFile: ours.File}, false},
		{"a certificate", mutual, certified, true},
		{"no certificate", mutual, natsconn.Login{CAFile: ours.File}, false},
		{"a certificate of another CA", mutual, natsconn.Login{CAFile: ours.File, CertFile: otherCert, KeyFile: otherKey}, false},
		{"a certificate without the password", both, certified, false},
		{"a password without the certificate", both, trusting, false},
		{"both", both, natsconn.Login{User: "fleet", Password: "p@ss/word", CAFile: ours.File, CertFile: clientCert, KeyFile: clientKey}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := queuetest.StartServer(t, natsd.Config{Listen: "127.0.0.1:0", Access: tc.access})
			if err := works(t, natsconn.Config{InProcess: s, Login: queuetest.Inside(s)}); err != nil {
				t.Errorf("within the process: %v", err)
			}
			if err := works(t, natsconn.Config{URL: s.ClientURL(), Login: tc.login, Role: natsconn.Worker}); (err == nil) != tc.ok {
				t.Errorf("%v, want it accepted: %v", err, tc.ok)
			}
		})
	}
}

// TestLoginByCredentials runs a server with an operator, accounts and users by JWT.
func TestLoginByCredentials(t *testing.T) {
	s, creds := queuetest.StartOperated(t, -1, 0)
	if err := works(t, natsconn.Config{URL: s.ClientURL(), Login: natsconn.Login{CredsFile: creds}}); err != nil {
		t.Errorf("with credentials: %v", err)
	}
	if err := works(t, natsconn.Config{URL: s.ClientURL()}); err == nil {
		t.Error("accepted without credentials")
	}
}

func TestCredsEnd(t *testing.T) {
	creds := filepath.Join(t.TempDir(), "creds")
	for until, want := range map[int64]time.Time{4102444800: time.Unix(4102444800, 0), 0: {}} {
		queuetest.WriteCreds(t, creds, until)
		if got, err := natsconn.CredsEnd(creds); err != nil || !got.Equal(want) {
			t.Errorf("the end is %v, %v, want %v", got, err, want)
		}
	}
	for _, path := range []string{"/absent/creds", writeFile(t, []byte("SECRET and no JWT\n"))} {
		if _, err := natsconn.CredsEnd(path); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("of %s: %v", path, err)
		}
	}
}

func TestConnectReportsUnreadableFiles(t *testing.T) {
	bad := writeFile(t, []byte("SECRET and no PEM\n"))
	for name, login := range map[string]natsconn.Login{
		"seed": {SeedFile: bad}, "no seed": {SeedFile: "/absent/seed"}, "no creds": {CredsFile: "/absent/creds"},
		"CA": {CAFile: bad}, "no CA": {CAFile: "/absent/ca"},
		"certificate": {CertFile: bad, KeyFile: bad}, "no certificate": {CertFile: "/absent/cert", KeyFile: "/absent/key"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := backend.Connect(ctx, natsconn.Config{URL: "nats://127.0.0.1:1", Login: login, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
		if ctx.Err() != nil || err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), "nats.") || !strings.Contains(err.Error(), bad) && !strings.Contains(err.Error(), "/absent/") {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}
