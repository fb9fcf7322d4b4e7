package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
)

// listening serves a handler with at most so many connections, and returns its address.
func listening(t *testing.T, h http.Handler, reg prometheus.Registerer, most int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewHTTPServer(h, reg, slog.New(slog.DiscardHandler))
	s.conns.most = most
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a request over a connection of its own, and returns the code of the answer.
func ask(t *testing.T, address, target string) (int, error) {
	t.Helper()
	c := dial(t, address)
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	_ = answer.Body.Close()
	return answer.StatusCode, nil
}

// Clients that connect and say nothing, or half of a header, or go on with no second
// request, keep nobody out.
func TestSlowClientsKeepNobodyOut(t *testing.T) {
	reg := prometheus.NewRegistry()
	address := listening(t, newFixture(t), reg, 8)
	for i := range 100 {
		c := dial(t, address)
		said := []string{"", "GET /_health HTTP/1.1\r\nHost: x\r\nX-Slow: ", "GET /_health HTTP/1.1\r\nHost: x\r\n\r\n"}[i%3]
		if _, err := io.WriteString(c, said); err != nil {
			t.Fatal(err)
		}
		if i%9 == 0 {
			if code, err := ask(t, address, "/_health"); code != 200 || err != nil {
				t.Fatalf("health beside %d slow clients: %d, %v", i+1, code, err)
			}
		}
	}
	// Those who asked for health closed theirs, some perhaps before they had to.
	if n := measured.Sum(t, reg, "rangefleet_http_connections_evicted_total"); n < 100-8 {
		t.Errorf("%v connections gave way, want 92 at least", n)
	}
}

// stuck is a service that answers once it is let.
type stuck struct {
	Service
	asked chan struct{}
	let   chan struct{}
}

func (s stuck) Status(context.Context, string, string) (coordinator.Status, error) {
	s.asked <- struct{}{}
	<-s.let
	return coordinator.Status{}, errNoImport
}

// While as many requests are served as may be, more are told to come back, and health,
// readiness and metrics are answered.
func TestACrowdOfRequests(t *testing.T) {
	service := stuck{asked: make(chan struct{}), let: make(chan struct{})}
	f := newFixture(t, func(c *Config) { c.Service = service })
	h := admitUpTo(3, f.Handler)
	address := listening(t, h, prometheus.NewRegistry(), 10)
	var served sync.WaitGroup
	request := func() *http.Request {
		r, err := http.NewRequest(http.MethodGet, "http://"+address+importPath+"?id=x", nil)
		expect.NoError(t, err)
		r.SetBasicAuth(testKey, testSecret)
		return r
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: expect.Patience}
	for range 3 {
		served.Go(func() {
			answer, err := client.Do(request())
			if err != nil {
				t.Error(err)
				return
			}
			if _ = answer.Body.Close(); answer.StatusCode != http.StatusNotFound {
				t.Errorf("a request that was served: %d", answer.StatusCode)
			}
		})
		<-service.asked
	}
	answer, err := client.Do(request())
	expect.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	expect.NoError(t, err)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "1" || !strings.Contains(string(text), "too many requests") {
		t.Errorf("one more: %d %v %s", answer.StatusCode, answer.Header, text)
	}
	for _, target := range []string{"/_health", "/_ready", "/metrics"} {
		if code, err := ask(t, address, target); code != 200 || err != nil {
			t.Errorf("%s in the crowd: %d, %v", target, code, err)
		}
	}
	close(service.let)
	served.Wait()
	if code, err := ask(t, address, "/api/v1/none"); code != 404 || err != nil {
		t.Errorf("after the crowd: %d, %v", code, err)
	}
}

// silent is a body that never comes.
type silent struct {
	asked chan struct{}
	over  chan struct{}
}

func (s silent) Read([]byte) (int, error) {
	s.asked <- struct{}{}
	<-s.over
	return 0, io.EOF
}

// Bodies of callers without credentials that never come keep others neither from being
// told so, nor from being served.
func TestSlowBodiesOfNobody(t *testing.T) {
	f := newFixture(t)
	body := silent{asked: make(chan struct{}), over: make(chan struct{})}
	var slow sync.WaitGroup
	for range 64 {
		slow.Go(func() {
			r, err := http.NewRequest(http.MethodPost, importPath, body)
			expect.NoError(t, err)
			f.ServeHTTP(newUnread(), r)
		})
		<-body.asked
	}
	exchange{"nobody", "POST", importPath, "{", http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`}.run(t, f)
	exchange{"somebody", "POST", importPath, "{", nil, 400, `{"message":"request body has an error: malformed JSON at byte 1: unexpected end of JSON input"}`}.run(t, f)
	close(body.over)
	slow.Wait()
	exchange{"nobody, later", "POST", importPath, "{", http.Header{"Authorization": nil}, 400, `{"message":"request body has an error: malformed JSON at byte 1: unexpected end of JSON input"}`}.run(t, f)
}

// unread is an answer that nobody looks at.
type unread struct{ header http.Header }

func newUnread() unread                         { return unread{http.Header{}} }
func (d unread) Header() http.Header            { return d.header }
func (d unread) Write(text []byte) (int, error) { return len(text), nil }
func (d unread) WriteHeader(int)                {}

// Whatever connections do in whatever order, no more are open than may be, those that
// are served are never closed for others, and of those that wait the oldest is.
func TestConnectionsAreBounded(t *testing.T) {
	rnd := seeded.Rand(t)
	const most = 5
	c := connections{most: most, evicted: prometheus.NewCounter(prometheus.CounterOpts{})}
	var open, waiting []*connection // the twin; waiting is in order
	drop := func(s []*connection, x *connection) []*connection {
		return slices.DeleteFunc(s, func(y *connection) bool { return x == y })
	}
	for range 10_000 {
		switch op := rnd.IntN(4); {
		case op == 0 || len(open) == 0:
			here, there := net.Pipe()
			_ = there.Close()
			conn := c.add(here)
			if len(open) == most && len(waiting) == 0 {
				if conn != nil {
					t.Fatal("one came in although all are served")
				}
				continue
			}
			if len(open) == most {
				open, waiting = drop(open, waiting[0]), waiting[1:]
			}
			open, waiting = append(open, conn), append(waiting, conn)
		case op == 1:
			conn := open[rnd.IntN(len(open))]
			open, waiting = drop(open, conn), drop(waiting, conn)
			_ = conn.Close()
			_ = conn.Close() // as net/http may
		case op == 2:
			conn := open[rnd.IntN(len(open))]
			waiting = drop(waiting, conn)
			conn.turn(false)
		case op == 3:
			if conn := open[rnd.IntN(len(open))]; !slices.Contains(waiting, conn) {
				waiting = append(waiting, conn)
				conn.turn(true)
			}
		}
		var got []*connection
		for e := c.waiting.Front(); e != nil; e = e.Next() {
			got = append(got, e.Value.(*connection))
		}
		if c.open != len(open) || !slices.Equal(got, waiting) {
			t.Fatalf("%d are open and %d wait, want %d and %d, in their order", c.open, len(got), len(open), len(waiting))
		}
	}
}
