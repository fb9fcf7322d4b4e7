package httpget_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/httpget"
)

const request = "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"

// client returns a client that keeps up to two connections.
func client() *httpget.Client {
	return &httpget.Client{
		Dial: new(net.Dialer).DialContext, Handshake: expect.Patience, Kept: 2, KeptFor: expect.Patience, MaxBytes: 1 << 20,
	}
}

// scripted is a server of raw answers. Each of its connections gives those of a
// script, one for a request, and then ends.
type scripted struct {
	httpget.Target
	mu       sync.Mutex
	scripts  [][]string
	requests []string
	ended    chan struct{} // a tick for each connection that the client ended
}

// silence as an answer waits for the client to end the connection.
const silence = "..."

func serve(t *testing.T, scripts ...[]string) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	s := &scripted{Target: httpget.Target{Address: listener.Addr().String()}, scripts: scripts, ended: make(chan struct{}, 100)}
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	over, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	t.Cleanup(func() { _ = listener.Close() })
	conns.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer context.AfterFunc(over, func() { _ = c.Close() })()
				s.converse(c)
			})
		}
	})
	return s
}

func (s *scripted) converse(c net.Conn) {
	defer func() { _ = c.Close() }()
	s.mu.Lock()
	var script []string
	if len(s.scripts) > 0 {
		script, s.scripts = s.scripts[0], s.scripts[1:]
	}
	s.mu.Unlock()
	in := bufio.NewReader(c)
	for _, answer := range script {
		r, err := http.ReadRequest(in)
		if err != nil {
			s.ended <- struct{}{}
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.RequestURI+" "+r.Host)
		s.mu.Unlock()
		answer, wait := strings.CutSuffix(answer, silence)
		_, _ = io.WriteString(c, answer)
		if wait {
			_, _ = in.ReadByte()
			s.ended <- struct{}{}
			return
		}
	}
}

func (s *scripted) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// get returns the status and the body of what a server answers.
func get(ctx context.Context, c *httpget.Client, to httpget.Target) (status int, body string, err error) {
	err = c.Get(ctx, to, []byte(request), func(r *http.Response) error {
		all, err := io.ReadAll(r.Body)
		status, body = r.StatusCode, string(all)
		return err
	})
	return status, body, err
}

const whole = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"

// TestAnswers reads answers of every form, and asks again.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		status       int
		body         string
		again        bool // on the same connection
	}{
		{"with a length", whole, 200, "abc", true},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 200, "abc", true},
		{"in chunks, with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", 200, "abc", true},
		{"without a body", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		{"an error", "HTTP/1.1 503 Slow Down\r\nContent-Length: 1\r\n\r\nx", 503, "x", true},
		{"a redirect", "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 307, "", true},
		{"after others", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole, 200, "abc", true},
		{"the last one", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", false},
		{"of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", false},
		{"with more behind it", whole + "HTTP/1.1 408 Request Timeout\r\n\r\n", 200, "abc", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			second := []string{whole}
			first := []string{tc.answer, whole}
			if !tc.again {
				first = []string{tc.answer + silence}
			}
			s, c := serve(t, first, second), client()
			status, body, err := get(t.Context(), c, s.Target)
			if err != nil || status != tc.status || body != tc.body {
				t.Errorf("%d %q, %v, want %d %q", status, body, err, tc.status, tc.body)
			}
			if _, body, err = get(t.Context(), c, s.Target); err != nil || body != "abc" {
				t.Errorf("then %q, %v", body, err)
			}
			if again := len(s.scripts) == 1; again != tc.again {
				t.Errorf("asked again on the same connection: %v, want %v", again, tc.again)
			}
			if want := "GET /a?b h"; s.requests[0] != want || s.requests[1] != want {
				t.Errorf("requests %q, want %q", s.requests, want)
			}
		})
	}
}

// TestUntilTheEnd reads a body that ends with its connection.
func TestUntilTheEnd(t *testing.T) {
	s, c := serve(t, []string{"HTTP/1.1 200 OK\r\n\r\nabc"}, []string{whole}), client()
	for range 2 {
		if _, body, err := get(t.Context(), c, s.Target); err != nil || body != "abc" {
			t.Errorf("%q, %v", body, err)
		}
	}
}

// TestBroken cuts answers short, on a new connection and on a kept one. What began
// is not asked for again.
func TestBroken(t *testing.T) {
	for name, answer := range map[string]string{
		"in the status":     "HTTP/1",
		"in the head":       "HTTP/1.1 200 OK\r\nContent-Le",
		"in the body":       whole[:len(whole)-1],
		"in a chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"between chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
		"no HTTP":           "220 smtp ready\r\n",
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
		"nothing to follow": strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20),
		"an endless head":   "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1<<18),
		"an endless body":   "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 1<<20),
	} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", kept ", kept), func(t *testing.T) {
				script := []string{answer}
				if kept {
					script = []string{whole, answer}
				}
				s, c := serve(t, script, []string{whole}), client()
				if kept {
					if _, _, err := get(t.Context(), c, s.Target); err != nil {
						t.Fatal(err)
					}
				}
				if status, body, err := get(t.Context(), c, s.Target); err == nil || s.asked() != len(script) {
					t.Errorf("%d %.9q after %d requests, want an error after %d", status, body, s.asked(), len(script))
				}
				if _, body, err := get(t.Context(), c, s.Target); err != nil || body != "abc" {
					t.Errorf("then %q, %v", body, err)
				}
			})
		}
	}
}

// TestEndedConnections has servers end connections before they answer. A kept one
// may end at any time, so the request goes to a new one; once.
func TestEndedConnections(t *testing.T) {
	s, c := serve(t, []string{whole}, []string{whole, ""}, []string{""}, []string{whole}), client()
	for i, good := range []bool{true, true, false, true} {
		if _, body, err := get(t.Context(), c, s.Target); (err == nil) != good || good && body != "abc" {
			t.Errorf("request %d: %q, %v", i, body, err)
		}
	}
	if len(s.scripts) != 0 {
		t.Errorf("%d connections were not needed", len(s.scripts))
	}
}

// TestEnds checks that requests end with their contexts, and their connections with
// them: while they connect, wait, and read.
func TestEnds(t *testing.T) {
	for name, answer := range map[string]string{"waiting": silence, "in the head": "HTTP/1.1 2" + silence, "in the body": whole[:len(whole)-1] + silence} {
		t.Run(name, func(t *testing.T) {
			s, c := serve(t, []string{answer}), client()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, _, err := get(ctx, c, s.Target)
				done <- err
			}()
			expect.Eventually(t, "the request", func() bool { return s.asked() == 1 })
			cancel()
			if err := expect.Received(t, "the end", done); err == nil {
				t.Error("no error")
			}
			expect.Received(t, "the end of the connection", s.ended)
		})
	}
	t.Run("connecting", func(t *testing.T) {
		c := client()
		ctx, cancel := context.WithCancel(t.Context())
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if _, _, err := get(ctx, c, httpget.Target{Address: "127.0.0.1:1"}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// TestUnread checks that a connection whose answer was not read is not used again.
func TestUnread(t *testing.T) {
	mine := errors.New("mine")
	for _, want := range []error{nil, mine} {
		s, c := serve(t, []string{whole, silence}, []string{whole}), client()
		if err := c.Get(t.Context(), s.Target, []byte(request), func(*http.Response) error { return want }); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		expect.Received(t, "the end of the connection", s.ended)
		if _, body, err := get(t.Context(), c, s.Target); err != nil || body != "abc" {
			t.Errorf("then %q, %v", body, err)
		}
	}
}

// TestKept checks how many connections are kept, and how long.
func TestKept(t *testing.T) {
	s, c := serve(t, []string{whole, silence}, []string{whole, silence}, []string{whole, silence}), client()
	var all, first sync.WaitGroup
	first.Add(3)
	for range 3 {
		all.Go(func() {
			err := c.Get(t.Context(), s.Target, []byte(request), func(r *http.Response) error {
				first.Done()
				first.Wait() // for the others, which have connections of their own
				_, err := io.Copy(io.Discard, r.Body)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	expect.Received(t, "the end of the third connection", s.ended)

	s, c = serve(t, []string{whole, silence}, []string{whole, silence}), client()
	c.KeptFor = time.Millisecond
	for range 2 {
		if _, _, err := get(t.Context(), c, s.Target); err != nil {
			t.Fatal(err)
		}
		expect.Received(t, "the end of a connection kept too long", s.ended)
	}
}

// TestTLS checks whom a client trusts, and which host it expects.
func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	to := httpget.Target{Address: server.Listener.Addr().String(), TLS: true}

	c := client()
	if _, body, err := get(t.Context(), c, to); err == nil {
		t.Errorf("got %q of a server that nobody vouches for", body)
	}
	c.TLS = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	for range 2 {
		if _, body, err := get(t.Context(), c, to); err != nil || body != "HTTP/1.1" {
			t.Errorf("%q, %v", body, err)
		}
	}
	_, port, err := net.SplitHostPort(to.Address)
	expect.NoError(t, err)
	if _, body, err := get(t.Context(), c, httpget.Target{Address: "localhost:" + port, TLS: true}); err == nil {
		t.Errorf("got %q of another host", body)
	}
	c.Handshake = time.Nanosecond
	c.TLS = c.TLS.Clone() // of no connection yet
	s := serve(t, []string{silence})
	if _, _, err := get(t.Context(), c, httpget.Target{Address: s.Address, TLS: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v of a server that says nothing", err)
	}
}

// TestMany asks for different answers from many goroutines, and gives some up.
func TestMany(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			fmt.Fprint(w, r.RequestURI)
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	c, to := client(), httpget.Target{Address: server.Listener.Addr().String()}
	var all sync.WaitGroup
	for n := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, n))
			for i := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				path := fmt.Sprintf("/%d/%d", n, i)
				err := c.Get(ctx, to, []byte("GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"), func(response *http.Response) error {
					if r.IntN(10) == 0 {
						cancel()
					}
					body, err := io.ReadAll(response.Body)
					if err == nil && string(body) != path+path+path {
						t.Errorf("%s: got %q", path, body)
					}
					return err
				})
				if err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", path, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}
