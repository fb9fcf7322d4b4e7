package node_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// trusting returns a client that trusts a CA.
func trusting(t *testing.T, ca *certs.Authority) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(ca.File)
	expect.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: expect.Patience}
}

// documented returns the settings in the first block of a section of docs/access.md, in which texts
// are replaced.
func documented(t *testing.T, section string, oldnew ...string) settings.Settings {
	t.Helper()
	text, err := os.ReadFile("../../docs/access.md")
	expect.NoError(t, err)
	_, after, _ := strings.Cut(string(text), "# "+section+"\n")
	_, after, _ = strings.Cut(after, "\n```yaml\n")
	block, _, ok := strings.Cut(after, "\n```\n")
	if !ok {
		t.Fatalf("section %s of docs/access.md has no settings", section)
	}
	file := filepath.Join(t.TempDir(), "settings.yaml")
	expect.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer(oldnew...).Replace(block)), 0o600))
	s, err := settings.Load(settings.Coordinator, pflag.NewFlagSet("", pflag.ContinueOnError), []string{"HOME=/home/op", "RANGEFLEET_CONFIG=" + file})
	expect.NoError(t, err)
	return s
}

func TestRequiredClaimsAsDocumented(t *testing.T) {
	a := documented(t, "Who can log in",
		"auth:", "http: {public_url: 'https://imports.example.com'}\nauth:",
		"oidc:", "oidc:\n    issuer: https://idp.example.com\n    client_id: fleet", "saml:", "saml:\n    metadata_file: idp.xml").Auth
	if len(a.OIDC.RequiredClaims) != 3 || len(a.SAML.RequiredAttributes) != 1 {
		t.Errorf("%q, %q", a.OIDC.RequiredClaims, a.SAML.RequiredAttributes)
	}
}

// text asks for a path, and returns the answer and the serial number of the certificate.
func text(t *testing.T, c *http.Client, url string) (answer, serial string) {
	t.Helper()
	response, err := c.Get(url)
	expect.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	expect.NoError(t, err)
	return string(body), response.TLS.PeerCertificates[0].SerialNumber.String()
}

// TestTheAPIHasTLS replaces the certificate while a coordinator runs. It serves by HTTP/2, and lets a
// running request end when it is told to stop.
func TestTheAPIHasTLS(t *testing.T) {
	ca := certs.New(t)
	s := config(t.TempDir())
	s.Auth = settings.Auth{AccessKeyID: "me", SecretAccessKey: settings.NewSecret("s3cr3t")}
	certFile, keyFile := ca.Issue("server")
	s.HTTP = documented(t, "HTTPS", "/etc/rangefleet/tls/tls.crt", certFile, "/etc/rangefleet/tls/tls.key", keyFile).HTTP
	p := start(t, node.Coordinator, s)
	if !strings.HasPrefix(p.info.API, "https://127.0.0.1:") || !strings.Contains(p.notices.String(), "API         "+p.info.API) {
		t.Errorf("it shows %q:\n%s", p.info.API, p.notices.String())
	}
	_, first := text(t, trusting(t, ca), p.info.API+"/_health")
	shows := func(series string) {
		t.Helper()
		expect.Eventually(t, series, func() bool {
			metrics, _ := text(t, trusting(t, ca), p.info.API+"/metrics")
			return strings.Contains(metrics, series+"\n")
		})
	}
	hangup := func(series string) (serial string) { // the series must not be there yet: else the signal may be late
		t.Helper()
		expect.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		shows(series)
		_, serial = text(t, trusting(t, ca), p.info.API+"/_health")
		return serial
	}
	ca.IssueWith("server", func(c *x509.Certificate) { c.NotAfter = time.Unix(4e9, 0) })
	second := hangup(`rangefleet_certificate_reloads_total{fleet="test",result="taken",use="api"} 1`)
	if second == first {
		t.Error("the new certificate is not served")
	}
	shows(`rangefleet_certificate_not_after_timestamp_seconds{fleet="test",use="api"} 4e+09`)
	expect.NoError(t, os.WriteFile(s.HTTP.KeyFile, []byte("none"), 0o600))
	if hangup(`rangefleet_certificate_reloads_total{fleet="test",result="refused",use="api"} 1`) != second {
		t.Error("a refused certificate is served")
	}
	p.endsDuring(t, trusting(t, ca))
	if log := p.log.String(); !strings.Contains(log, "the old one stays") {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}

	s.NATS.StoreDir = t.TempDir()
	if _, err := launch(t, node.Coordinator, s); err == nil || !strings.Contains(err.Error(), "http.cert_file: ") || !strings.Contains(err.Error(), s.HTTP.KeyFile) {
		t.Errorf("a start without a key: %v", err)
	}
}

// endsDuring stops the process while it reads the body of a request.
func (p *process) endsDuring(t *testing.T, c *http.Client) {
	t.Helper()
	reading := make(chan struct{})
	body, rest := io.Pipe()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.info.API+"/api/v1/repositories", body)
	expect.NoError(t, err)
	r.SetBasicAuth("me", "s3cr3t")
	r.Header.Set("Content-Type", "application/json")
	answered := make(chan int, 1)
	go func() {
		response, err := c.Do(r)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	go func() {
		_, _ = io.WriteString(rest, `{"name":`)
		close(reading)
	}()
	expect.Received(t, "a body that is read", reading)
	expect.Eventually(t, "a request that is served", func() bool {
		metrics, _ := text(t, c, p.info.API+"/metrics")
		return strings.Contains(metrics, "rangefleet_http_requests_in_flight{fleet=\"test\"} 2\n")
	})
	p.stop()
	_, _ = io.WriteString(rest, `1}`)
	_ = rest.Close()
	if code := expect.Received(t, "an answer", answered); code != 400 {
		t.Errorf("a request that ran when the process was told to stop: %d, want 400", code)
	}
	c.CloseIdleConnections()
	p.end()
}
