package certfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
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
		Registerer: f.metrics, Subsystem: "http",
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
	return measured.Sum(f.t, f.metrics, "rangefleet_http_certificate_reloads_total", result)
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
	if got := measured.Sum(t, f.metrics, "rangefleet_http_certificate_not_after_seconds"); got != 4e9 {
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
