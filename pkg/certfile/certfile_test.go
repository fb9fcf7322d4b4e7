package certfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
)

// fixture is a pair in files, with what is logged and counted.
type fixture struct {
	*Pair
	t         *testing.T
	ca        *certs.Authority
	cert, key string // files
	log       bytes.Buffer
	metrics   *prometheus.Registry
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, ca: certs.New(t), metrics: prometheus.NewRegistry()}
	f.cert, f.key = f.ca.Issue("server")
	f.open()
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	f.Pair, err = Open(f.config())
	expect.NoError(f.t, err)
}

func (f *fixture) config() Config {
	return Config{
		CertFile: f.cert, KeyFile: f.key, Now: time.Now, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		Registerer: f.metrics, Use: "api",
	}
}

// served returns the certificate that a client gets.
func (f *fixture) served() *x509.Certificate {
	f.t.Helper()
	cert, err := f.TLS().GetCertificate(&tls.ClientHelloInfo{})
	expect.NoError(f.t, err)
	return cert.Leaf
}

// count returns how many reloads had a result.
func (f *fixture) count(result string) float64 {
	f.t.Helper()
	return measured.Sum(f.t, f.metrics, "rangefleet_certificate_reloads_total", result)
}

func (f *fixture) write(path, text string) {
	f.t.Helper()
	expect.NoError(f.t, os.WriteFile(path, []byte(text), 0o600))
}

func (f *fixture) read(path string) string {
	f.t.Helper()
	text, err := os.ReadFile(path)
	expect.NoError(f.t, err)
	return string(text)
}

func TestChangedFilesAreTaken(t *testing.T) {
	f := newFixture(t)
	first := f.served()
	f.reload()
	if f.count("taken") != 0 || f.served() != first {
		t.Error("files that have not changed were taken")
	}
	f.ca.IssueWith("server", func(c *x509.Certificate) { c.NotAfter = time.Unix(4e9, 0) })
	f.reload()
	if f.count("taken") != 1 || f.served().Equal(first) {
		t.Errorf("%v changes were taken, want 1", f.count("taken"))
	}
	if got := measured.Sum(t, f.metrics, "rangefleet_certificate_not_after_timestamp_seconds"); got != 4e9 {
		t.Errorf("it expires at %v, want 4e9", got)
	}
}

// What cannot be used leaves the old certificate, and is reported once for each change.
func TestBadFilesLeaveTheOldCertificate(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		change     func(*fixture)
	}{
		{"no PEM", "failed to find any PEM data", func(f *fixture) { f.write(f.cert, "SECRET") }},
		{"half of a file", "failed to find any PEM data", func(f *fixture) { f.write(f.cert, f.read(f.cert)[:100]) }},
		{"no certificate", "no such file", func(f *fixture) { expect.NoError(f.t, os.Remove(f.cert)) }},
		{"no key", "no such file", func(f *fixture) { expect.NoError(f.t, os.Remove(f.key)) }},
		{"the key of another certificate", "private key does not match public key", func(f *fixture) {
			_, other := f.ca.Issue("other")
			f.write(f.key, f.read(other))
		}},
		{"too long", "more than 1048576 bytes", func(f *fixture) { f.write(f.key, f.read(f.key)+strings.Repeat("\n", 1<<20)) }},
		{"expired", "expired at ", func(f *fixture) {
			f.ca.IssueWith("server", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			first := f.served()
			tc.change(f)
			f.reload()
			f.reload()
			if !f.served().Equal(first) || f.count("taken") != 0 || f.count("refused") != 1 {
				t.Errorf("%v taken, %v refused, want only one refusal", f.count("taken"), f.count("refused"))
			}
			if log := f.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, tc.want) || strings.Contains(log, "SECRET") {
				t.Errorf("want one error with %q:\n%s", tc.want, log)
			}
			f.ca.Issue("server")
			f.reload()
			if f.count("taken") != 1 || f.served().Equal(first) {
				t.Error("a good pair after a bad one is not taken")
			}
		})
	}
}

func TestBadFilesAtTheStart(t *testing.T) {
	f := newFixture(t)
	f.ca.IssueWith("server", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	f.metrics = prometheus.NewRegistry()
	f.open()
	if log := f.log.String(); !strings.Contains(log, "has expired") {
		t.Errorf("that it has expired is not logged:\n%s", log)
	}
	f.write(f.key, "SECRET")
	f.metrics = prometheus.NewRegistry()
	if _, err := Open(f.config()); err == nil || !strings.Contains(err.Error(), f.key) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("no pair: %v", err)
	}
}

// Clients are judged by the authorities that the file names when they connect.
func TestAuthoritiesOfClients(t *testing.T) {
	f := newFixture(t)
	file := filepath.Join(t.TempDir(), "clients.pem")
	ours, theirs := certs.New(t), certs.New(t)
	config := func() Config {
		c := f.config()
		c.CAFile, c.Registerer = file, prometheus.NewRegistry()
		return c
	}
	if _, err := Open(config()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: %v", err)
	}
	f.write(file, "SECRET")
	if _, err := Open(config()); err == nil || !strings.Contains(err.Error(), file+" has no certificate") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("no certificate: %v", err)
	}
	f.write(file, f.read(ours.File))
	c := config()
	f.metrics = c.Registerer.(*prometheus.Registry)
	var err error
	f.Pair, err = Open(c)
	expect.NoError(t, err)
	served := f.TLS()
	letIn := func(what string, want bool, client ...tls.Certificate) {
		t.Helper()
		if got := agree(t, served, &tls.Config{RootCAs: f.roots(), Certificates: client, ServerName: "localhost", ClientSessionCache: sessions}); got != want {
			t.Errorf("%s: let in %t, want %t", what, got, want)
		}
	}
	our, their := clientOf(t, ours), clientOf(t, theirs)
	letIn("ours", true, our)
	letIn("theirs", false, their)
	letIn("nobody", false)
	f.write(file, f.read(theirs.File))
	letIn("ours, before the change is noticed", true, our)
	f.reload()
	letIn("ours, after the change", false, our)
	letIn("theirs, after the change", true, their)
	f.write(file, "")
	f.reload()
	letIn("theirs, beside a file without certificates", true, their)
	if f.count("taken") != 1 || f.count("refused") != 1 {
		t.Errorf("%v taken, %v refused, want one of each", f.count("taken"), f.count("refused"))
	}
}

// sessions are what clients could resume.
var sessions = tls.NewLRUClientSessionCache(0)

// roots returns the authority of the server.
func (f *fixture) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(f.read(f.ca.File)))
	return pool
}

func clientOf(t *testing.T, ca *certs.Authority) tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(ca.Issue("client"))
	expect.NoError(t, err)
	return cert
}

// agree reports whether a client and a server agree on TLS, and the client reads what the server
// sends.
func agree(t *testing.T, served, client *tls.Config) bool {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer func() { _ = l.Close() }()
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = tls.Server(conn, served).Write([]byte("x"))
	})
	conn, err := (&tls.Dialer{Config: client}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Read(make([]byte, 1))
	return err == nil
}

// A change is noticed by a poll, and sooner by a signal.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		hangups := make(chan os.Signal)
		go f.Watch(ctx, hangups)
		synctest.Wait()
		f.ca.Issue("server")
		hangups <- syscall.SIGHUP
		synctest.Wait()
		if f.count("taken") != 1 {
			t.Errorf("%v changes were taken after a signal, want 1", f.count("taken"))
		}
		f.ca.Issue("server")
		<-time.After(11 * time.Second)
		synctest.Wait()
		if f.count("taken") != 2 {
			t.Errorf("%v changes were taken after a poll, want 2", f.count("taken"))
		}
	})
}

// The end of a file is that of the certificate in it that expires first.
func TestEnd(t *testing.T) {
	ca := certs.New(t)
	issue := func(name string, until int64) string {
		cert, _ := ca.IssueWith(name, func(c *x509.Certificate) { c.NotAfter = time.Unix(until, 0) })
		text, err := os.ReadFile(cert)
		expect.NoError(t, err)
		return string(text)
	}
	early, late := issue("early", 3e9), issue("late", 4e9)
	_, keyFile := ca.Issue("key")
	key, err := os.ReadFile(keyFile)
	expect.NoError(t, err)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want int64 // seconds since 1970, or 0 for an error
	}{
		"one":                   {early, 3e9},
		"the first is earlier":  {early + late, 3e9},
		"the second is earlier": {late + early, 3e9},
		"a key before":          {string(key) + late, 4e9},
		"text between":          {late + "# the next one\n" + early, 3e9},
		"a key only":            {string(key), 0},
		"no PEM":                {"SECRET", 0},
		"not a certificate":     {late + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0},
		"too long":              {late + strings.Repeat("\n", maxFile), 0},
	} {
		path := filepath.Join(dir, name)
		expect.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		got, err := End(path)
		if c.want == 0 {
			if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s: %v, %v, want an error that names the file", name, got, err)
			}
			continue
		}
		if err != nil || !got.Equal(time.Unix(c.want, 0)) {
			t.Errorf("%s: it ends at %v, %v, want %v", name, got, err, time.Unix(c.want, 0))
		}
	}
	if _, err := End(filepath.Join(dir, "absent")); err == nil {
		t.Error("a file that is not there has an end")
	}
}
