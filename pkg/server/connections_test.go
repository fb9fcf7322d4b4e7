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
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// listening serves a handler with at most a number of connections, and returns its address.
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

// ask sends a request over a new connection, and returns the status code of the answer.
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

// Clients that send nothing, half of a header, or no second request do not lock out others.
func TestSlowClientsDoNotLockOutOthers(t *testing.T) {
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
				t.Fatalf("health with %d slow clients: %d, %v", i+1, code, err)
			}
		}
	}
	// The clients that asked for health closed their connections, some perhaps before the server did.
	if n := measured.Sum(t, reg, "rangefleet_http_connections_evicted_total"); n < 100-8 {
		t.Errorf("%v connections were evicted, want at least 92", n)
	}
}

// stuck is a service that does not answer before let is closed.
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

// While all slots for requests are taken, further requests are refused with Retry-After, but
// health, readiness and metrics are answered.
func TestRequestsAreBounded(t *testing.T) {
	service := stuck{asked: make(chan struct{}), let: make(chan struct{})}
	f := newFixture(t, func(c *Config) { c.Service = service })
	address := listening(t, f.Handler, prometheus.NewRegistry(), limits.Requests+10)
	var served sync.WaitGroup
	request := func(id int) *http.Request { return statusRequest(t, address, fmt.Sprint(id)) }
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: expect.Patience}
	for id := range limits.Requests {
		served.Go(func() {
			answer, err := client.Do(request(id))
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
	answer, err := client.Do(request(limits.Requests))
	expect.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	expect.NoError(t, err)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "1" || !strings.Contains(string(text), "too many requests") {
		t.Errorf("one more: %d %v %s", answer.StatusCode, answer.Header, text)
	}
	for _, target := range []string{"/_health", "/_ready", "/metrics"} {
		if code, err := ask(t, address, target); code != 200 || err != nil {
			t.Errorf("%s while all slots are taken: %d, %v", target, code, err)
		}
	}
	close(service.let)
	served.Wait()
	if code, err := ask(t, address, "/api/v1/none"); code != 404 || err != nil {
		t.Errorf("after slots were released: %d, %v", code, err)
	}
}

func statusRequest(t *testing.T, address, id string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+address+importPath+"?id="+id, nil)
	expect.NoError(t, err)
	r.SetBasicAuth(testKey, testSecret)
	return r
}

// Requests that wait for an answer which another one makes do not keep others out: not by the
// slots, and not by the connections.
func TestRequestsThatShareAnAnswerTakeNoSlots(t *testing.T) {
	service := stuck{asked: make(chan struct{}, 2), let: make(chan struct{})}
	f := newFixture(t, func(c *Config) { c.Service = service })
	const polls = limits.Requests + 50
	address := listening(t, f.Handler, prometheus.NewRegistry(), polls+30)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: expect.Patience}
	var served sync.WaitGroup
	codes := make(chan int, polls)
	poll := func() {
		served.Go(func() {
			answer, err := client.Do(statusRequest(t, address, "x"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = answer.Body.Close()
			codes <- answer.StatusCode
		})
	}
	poll()
	<-service.asked
	for range polls - 1 {
		poll()
	}
	expect.Eventually(t, "all requests", func() bool {
		return measured.Sum(t, f.metrics, "rangefleet_http_requests_in_flight") == polls
	})
	for range 20 {
		if code, err := ask(t, address, "/api/v1/none"); code != 404 || err != nil {
			t.Fatalf("another request: %d, %v", code, err)
		}
	}
	close(service.let)
	served.Wait()
	close(codes)
	for code := range codes {
		if code != 404 {
			t.Errorf("a request that waited: %d", code)
		}
	}
}

// silent is a body that does not arrive before over is closed.
type silent struct {
	asked chan struct{}
	over  chan struct{}
}

func (s silent) Read([]byte) (int, error) {
	s.asked <- struct{}{}
	<-s.over
	return 0, io.EOF
}

// Slow bodies of clients without credentials do not keep the server from answering others.
func TestSlowBodiesWithoutCredentials(t *testing.T) {
	f := newFixture(t)
	body := silent{asked: make(chan struct{}), over: make(chan struct{})}
	var slow sync.WaitGroup
	for i := range limits.AnonymousRequests {
		slow.Go(func() {
			r, err := http.NewRequest(http.MethodPost, importPath, body)
			expect.NoError(t, err)
			r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i)
			f.ServeHTTP(newUnread(), r)
		})
		<-body.asked
	}
	exchange{"no credentials", "POST", importPath, "{", http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`}.run(t, f)
	exchange{"credentials", "POST", importPath, "{", nil, 400, `{"message":"request body has an error: malformed JSON at byte 1: unexpected end of JSON input"}`}.run(t, f)
	close(body.over)
	slow.Wait()
	exchange{"no credentials, later", "POST", importPath, "{", http.Header{"Authorization": nil}, 400, `{"message":"request body has an error: malformed JSON at byte 1: unexpected end of JSON input"}`}.run(t, f)
}

// unread is an answer that is not read.
type unread struct{ header http.Header }

func newUnread() unread                         { return unread{http.Header{}} }
func (d unread) Header() http.Header            { return d.header }
func (d unread) Write(text []byte) (int, error) { return len(text), nil }
func (d unread) WriteHeader(int)                {}

// Whatever connections do, no more are open than allowed, active ones are never closed for
// others, and of the idle ones the one that has been idle longest is closed.
func TestConnectionsAreBounded(t *testing.T) {
	rnd := seeded.Rand(t)
	const most = 5
	c := connections{most: most, evicted: prometheus.NewCounter(prometheus.CounterOpts{})}
	var open, idle []*connection // the naive twin; idle is in order
	active := make(map[*connection]int)
	drop := func(s []*connection, x *connection) []*connection {
		return slices.DeleteFunc(s, func(y *connection) bool { return x == y })
	}
	for range 10_000 {
		switch op := rnd.IntN(4); {
		case op == 0 || len(open) == 0:
			here, there := net.Pipe()
			_ = there.Close()
			conn := c.add(here)
			if len(open) == most && len(idle) == 0 {
				if conn != nil {
					t.Fatal("a connection was accepted although all are active")
				}
				continue
			}
			if len(open) == most {
				open, idle = drop(open, idle[0]), idle[1:]
			}
			open, idle = append(open, conn), append(idle, conn)
		case op == 1:
			conn := open[rnd.IntN(len(open))]
			open, idle = drop(open, conn), drop(idle, conn)
			_ = conn.Close()
			_ = conn.Close() // as net/http may
		default:
			conn, n := open[rnd.IntN(len(open))], 1
			if active[conn] > 0 && op == 2 {
				n = -1
			}
			idle, active[conn] = drop(idle, conn), active[conn]+n
			if active[conn] == 0 {
				idle = append(idle, conn)
			}
			conn.count(n)
		}
		var got []*connection
		for e := c.idle.Front(); e != nil; e = e.Next() {
			got = append(got, e.Value.(*connection))
		}
		if c.open != len(open) || !slices.Equal(got, idle) {
			t.Fatalf("%d are open and %d idle, want %d and %d, in order", c.open, len(got), len(open), len(idle))
		}
	}
}
