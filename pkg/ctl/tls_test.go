package ctl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
)

// newSecureCoordinator is a coordinator with a certificate.
func newSecureCoordinator(t *testing.T, certFile, keyFile string) *coordinator {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	expect.NoError(t, err)
	c := &coordinator{script: map[string][]string{"GET /repositories/demo": {`200 {"id":"demo"}`}, "GET /user": {`200 {"user":{"id":"ann"}}`}}}
	c.Server = httptest.NewUnstartedServer(c)
	c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

// TestTrust checks which certificates rangectl accepts. A refused one is no reason to try again, and
// the coordinator gets no request.
func TestTrust(t *testing.T) {
	ours, theirs := certs.New(t), certs.New(t)
	good := func(ca *certs.Authority) [2]string { cert, key := ca.Issue("good"); return [2]string{cert, key} }
	changed := func(name string, change func(*x509.Certificate)) [2]string {
		cert, key := ours.IssueWith(name, change)
		return [2]string{cert, key}
	}
	for _, tc := range []struct {
		name string
		cert [2]string
		env  map[string]string
		args string
		file bool // the file names the CA
		want string
	}{
		{name: "the CA by a flag", cert: good(ours), args: " --ca-file " + ours.File},
		{name: "the CA by the environment", cert: good(ours), env: map[string]string{envCA: ours.File}},
		{name: "the CA by the file", cert: good(ours), file: true},
		{name: "the system's CAs", cert: good(ours), want: "signed by unknown authority\nhint: name the authority"},
		{name: "another CA", cert: good(theirs), file: true, want: "signed by unknown authority"},
		{name: "a flag over the file", cert: good(ours), file: true, args: " --ca-file " + theirs.File, want: "signed by unknown authority"},
		{name: "an expired certificate", cert: changed("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), file: true, want: "expired"},
		{name: "the certificate of another host", cert: changed("other", func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"elsewhere.example"}, []net.IP{net.IPv4(192, 0, 2, 1)}
		}), file: true, want: "valid for 192.0.2.1, not 127.0.0.1"},
		{name: "a client's certificate", cert: changed("client", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), file: true, want: "incompatible key usage"},
		{name: "no such CA", cert: good(ours), args: " --ca-file /absent", want: "reading the CA: open /absent"},
		{name: "no CA in the file", cert: good(ours), args: " --ca-file " + good(ours)[1], want: "holds no certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			co := newSecureCoordinator(t, tc.cert[0], tc.cert[1])
			m := newMachine(t, co)
			for name, value := range tc.env {
				m.env[name] = value
			}
			if tc.file {
				writeFile(t, m.env[envConfig], "endpoint: "+co.URL+"\nca_file: "+ours.File+"\n", 0o600)
			}
			code := Run(context.Background(), m.system(), strings.Fields("repo get demo"+tc.args))
			if (code == OK) != (tc.want == "") || !strings.Contains(m.err.String(), tc.want) {
				t.Errorf("exit %d, want %q:\n%s", code, tc.want, m.err.String())
			}
			if refused := tc.want != ""; refused && (len(co.seen()) > 0 || m.slept > 0) {
				t.Errorf("asked %q, and waited %d times", co.seen(), m.slept)
			}
		})
	}
}

// The CA of the file is not trusted at other endpoints.
func TestTheCAOfTheFileIsForItsEndpoint(t *testing.T) {
	ca := certs.New(t)
	certFile, keyFile := ca.Issue("server")
	co := newSecureCoordinator(t, certFile, keyFile)
	m := newMachine(t, co)
	writeFile(t, m.env[envConfig], "endpoint: https://elsewhere\nca_file: "+ca.File+"\n", 0o600)
	if code := Run(context.Background(), m.system(), strings.Fields("repo get demo")); code == OK || !strings.Contains(m.err.String(), "unknown authority") {
		t.Errorf("exit %d: %s", code, m.err.String())
	}
}

// Login stores where the CA is.
func TestLoginStoresTheCA(t *testing.T) {
	ca := certs.New(t)
	certFile, keyFile := ca.Issue("server")
	co := newSecureCoordinator(t, certFile, keyFile)
	m := newMachine(t, co)
	t.Chdir(filepath.Dir(ca.File))
	if code := Run(context.Background(), m.system(), []string{"login", "--ca-file", filepath.Base(ca.File)}); code != OK {
		t.Fatalf("exit %d: %s", code, m.err.String())
	}
	m.env = map[string]string{envConfig: m.env[envConfig]}
	t.Chdir("/")
	if code := Run(context.Background(), m.system(), strings.Fields("repo get demo")); code != OK {
		t.Errorf("exit %d: %s", code, m.err.String())
	}
}

// HTTP at a port of HTTPS, and the other way round, is said to be that.
func TestWrongScheme(t *testing.T) {
	certFile, keyFile := certs.New(t).Issue("server")
	secure, plain := newSecureCoordinator(t, certFile, keyFile), newCoordinator(t, nil)
	for endpoint, want := range map[string]string{
		strings.Replace(secure.URL, "https://", "http://", 1): "want https:// in the endpoint",
		strings.Replace(plain.URL, "http://", "https://", 1):  "server gave HTTP response to HTTPS client\nhint: the service there has no TLS: did you mean " + plain.URL + "?",
	} {
		m := newMachine(t, plain)
		code := Run(context.Background(), m.system(), strings.Fields("repo get demo --endpoint "+endpoint))
		if code != Failed || !strings.Contains(m.err.String(), want) || m.slept > 0 {
			t.Errorf("exit %d after %d waits, want %q:\n%s", code, m.slept, want, m.err.String())
		}
	}
}
