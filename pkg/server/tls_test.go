package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/certfile"
)

// tlsServer serves a handler by TLS.
type tlsServer struct {
	*HTTPServer
	address string
	roots   *x509.CertPool
	log     *transcript.Buffer
	metrics *prometheus.Registry
}

// serveTLS serves a handler by TLS with at most a number of connections.
func serveTLS(t *testing.T, h http.Handler, most int, handshake time.Duration) *tlsServer {
	t.Helper()
	ca := certs.New(t)
	s := &tlsServer{roots: x509.NewCertPool(), log: new(transcript.Buffer), metrics: prometheus.NewRegistry()}
	pem, err := os.ReadFile(ca.File)
	expect.NoError(t, err)
	s.roots.AppendCertsFromPEM(pem)
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	cfg := certfile.Config{Now: time.Now, Log: logger, Registerer: s.metrics, Use: "api"}
	cfg.CertFile, cfg.KeyFile = ca.Issue("server")
	pair, err := certfile.Open(cfg)
	expect.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	s.address = l.Addr().String()
	s.HTTPServer = NewHTTPServer(h, s.metrics, logger)
	s.conns.most, s.http.ReadHeaderTimeout = most, handshake
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.ServeTLS(l, pair.TLS("h2", "http/1.1")) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
	return s
}

// client returns a client with a connection of its own, and a configuration of TLS.
func (s *tlsServer) client(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	config.RootCAs = s.roots
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: expect.Patience}
}

// get asks for health.
func (s *tlsServer) get(t *testing.T, client *http.Client) (*http.Response, error) {
	t.Helper()
	answer, err := client.Get("https://" + s.address + "/_health")
	if err == nil {
		t.Cleanup(func() { _ = answer.Body.Close() })
	}
	return answer, err
}

func TestVersionsOfTLS(t *testing.T) {
	s := serveTLS(t, newFixture(t), 100, time.Minute)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		answer, err := s.get(t, s.client(t, &tls.Config{MinVersion: version, MaxVersion: version}))
		switch {
		case !ok && (err == nil || !strings.Contains(err.Error(), "protocol version not supported")):
			t.Errorf("%s: %v, want it refused", tls.VersionName(version), err)
		case ok && err != nil:
			t.Errorf("%s: %v", tls.VersionName(version), err)
		case ok && (answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2):
			t.Errorf("%s: %d by %s", tls.VersionName(version), answer.StatusCode, answer.Proto)
		}
	}
	old := s.client(t, &tls.Config{})
	old.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	answer, err := s.get(t, old)
	if err != nil || answer.ProtoMajor != 1 {
		t.Errorf("HTTP/1.1: %v, %v", answer, err)
	}
	if _, err := s.get(t, s.client(t, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}})); err == nil {
		t.Error("a cipher suite without forward secrecy is accepted")
	}
	expect.Eventually(t, "three failed handshakes are counted", func() bool { // the server may notice later than the client
		return measured.Sum(t, s.metrics, "rangefleet_http_tls_handshakes_failed_total") == 3
	})
}

// Failed handshakes are logged rarely, and all other errors of net/http always.
func TestFailedHandshakesAreLoggedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out transcript.Buffer
		h := NewHTTPServer(nil, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&out, nil))).http.ErrorLog
		handshakes := func(want int) {
			t.Helper()
			for range 3 {
				h.Print("http: TLS handshake error from 192.0.2.1:1: EOF")
			}
			if n := strings.Count(out.String(), "TLS handshake error"); n != want {
				t.Errorf("%d failed handshakes are logged, want %d", n, want)
			}
		}
		handshakes(1)
		for range 2 {
			h.Print("http: Accept error: too many open files")
		}
		if n := strings.Count(out.String(), "Accept error"); n != 2 {
			t.Errorf("%d other errors are logged, want 2", n)
		}
		<-time.After(handshakesEvery)
		handshakes(2)
	})
}

// A client that speaks HTTP without TLS is told so, and sends nothing more.
func TestPlainRequestsToTheTLSPort(t *testing.T) {
	s := serveTLS(t, newFixture(t), 100, time.Minute)
	c := dial(t, s.address)
	fmt.Fprintf(c, "GET /_health HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	expect.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusBadRequest || string(text) != "Client sent an HTTP request to an HTTPS server.\n" {
		t.Errorf("%d %q, %v", answer.StatusCode, text, err)
	}
}

// Connections are bounded before TLS: those that never agree on it are closed for others, and after
// a while in any case.
func TestSlowHandshakes(t *testing.T) {
	const most = 4
	s := serveTLS(t, newFixture(t), most, expect.Patience)
	for range 3 * most {
		dial(t, s.address)
	}
	if _, err := s.get(t, s.client(t, &tls.Config{})); err != nil {
		t.Errorf("with slow handshakes: %v", err)
	}
	if n := measured.Sum(t, s.metrics, "rangefleet_http_connections_evicted_total"); n < 2*most {
		t.Errorf("%v connections were evicted", n)
	}
	hasty := serveTLS(t, newFixture(t), most, 50*time.Millisecond)
	c := dial(t, hasty.address)
	expect.NoError(t, c.SetReadDeadline(time.Now().Add(expect.Patience)))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // as Read returns it
		t.Errorf("a handshake that does not begin: %v, want the end of the connection", err)
	}
}

// HTTP/2 serves many requests on a connection. It is active while any of them is served, so that it
// is not closed for others.
func TestAConnectionOfManyRequestsIsActive(t *testing.T) {
	asked, let := make(chan struct{}), make(chan struct{})
	s := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_health" {
			asked <- struct{}{}
			<-let
		}
		fmt.Fprint(w, servedOf(r) != nil)
	}), 2, expect.Patience)
	client := s.client(t, &tls.Config{})
	var requests sync.WaitGroup
	for i := range 3 {
		requests.Go(func() {
			answer, err := client.Get(fmt.Sprintf("https://%s/%d", s.address, i))
			if err != nil {
				t.Error(err)
				return
			}
			text, err := io.ReadAll(answer.Body)
			if _ = answer.Body.Close(); err != nil || string(text) != "true" || answer.ProtoMajor != 2 {
				t.Errorf("%q by %s, %v", text, answer.Proto, err)
			}
		})
		<-asked
		if i == 0 {
			if _, err := s.get(t, client); err != nil { // one of the requests ends
				t.Fatal(err)
			}
		}
	}
	for range 5 { // only one more connection fits, so that each of these evicts the one before
		dial(t, s.address)
		if _, err := s.get(t, s.client(t, &tls.Config{})); err != nil {
			t.Fatal(err)
		}
	}
	close(let)
	requests.Wait()
}

// Slots belong to requests, not to connections.
func TestSlotsOfRequestsOnOneConnection(t *testing.T) {
	f := newFixture(t)
	s := serveTLS(t, f, 10, expect.Patience)
	client := s.client(t, &tls.Config{})
	if _, err := s.get(t, client); err != nil { // it connects
		t.Fatal(err)
	}
	var requests sync.WaitGroup
	for range streams - 1 {
		requests.Go(func() {
			r, err := http.NewRequest(http.MethodGet, "https://"+s.address+"/api/v1/repositories", http.NoBody)
			expect.NoError(t, err)
			r.SetBasicAuth(testKey, testSecret)
			answer, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(new(bytes.Buffer), answer.Body)
			if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
				t.Errorf("status %d", answer.StatusCode)
			}
		})
	}
	requests.Wait()
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	if s.conns.open != 1 {
		t.Errorf("%d connections are open, want 1", s.conns.open)
	}
}
