package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// connections bounds the open connections of a server. A connection is active while a
// handler runs for it, or several do, as HTTP/2 permits. Otherwise it is idle: it waits for the
// TLS handshake, for a request, for the rest of a header, or for the client to read an answer.
// When there are too many connections, the one that has been idle longest is closed. So slow
// and idle clients, however many, cannot lock out others.
type connections struct {
	most    int
	evicted prometheus.Counter // connections closed as there were too many

	mu   sync.Mutex
	open int
	idle list.List // of *connection; the one that has been idle longest is in front
}

// connection is an open connection.
type connection struct {
	net.Conn
	all     *connections
	closed  bool
	active  int           // requests that are served
	element *list.Element // of all.idle; nil while the connection is active or closed
}

// listen returns a listener whose connections are bounded.
func (c *connections) listen(l net.Listener) net.Listener { return &listener{Listener: l, all: c} }

type listener struct {
	net.Listener
	all *connections
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn := l.all.add(nc); conn != nil {
			return conn, nil
		}
		l.all.evicted.Inc()
		_ = nc.Close() // all open connections are active
	}
}

// add adds a connection, or returns nil if there are too many and all are active.
func (c *connections) add(nc net.Conn) *connection {
	c.mu.Lock()
	var oldest *connection
	if c.open == c.most {
		e := c.idle.Front()
		if e == nil {
			c.mu.Unlock()
			return nil
		}
		oldest = e.Value.(*connection)
		oldest.remove()
	}
	c.open++
	conn := &connection{Conn: nc, all: c}
	conn.element = c.idle.PushBack(conn)
	c.mu.Unlock()
	if oldest != nil {
		c.evicted.Inc()
		_ = oldest.Conn.Close()
	}
	return conn
}

// Close closes the connection and removes it.
func (conn *connection) Close() error {
	conn.all.mu.Lock()
	conn.remove()
	conn.all.mu.Unlock()
	return conn.Conn.Close()
}

// remove removes the connection, unless it is removed already. The lock must be held.
func (conn *connection) remove() {
	if conn.closed {
		return
	}
	conn.closed = true
	conn.all.open--
	conn.place()
}

// place puts the connection in the line of idle ones if it is idle, and else removes it from there.
// The lock must be held.
func (conn *connection) place() {
	idle, line := conn.active == 0 && !conn.closed, &conn.all.idle
	switch {
	case idle && conn.element == nil:
		conn.element = line.PushBack(conn)
	case !idle && conn.element != nil:
		line.Remove(conn.element)
		conn.element = nil
	}
}

// count adds to the requests that the connection serves.
func (conn *connection) count(n int) {
	conn.all.mu.Lock()
	defer conn.all.mu.Unlock()
	conn.active += n
	conn.place()
}

// served is a request that is being served. Only its goroutine uses it.
type served struct {
	conn *connection
	slot slots // one of which the request holds, or nil
}

// idleDuring calls f, and does not count the request meanwhile: its connection may be closed for
// another one. The request may be nil.
func (s *served) idleDuring(f func() bool) bool {
	if s != nil {
		s.conn.count(-1)
		defer s.conn.count(1)
	}
	return f()
}

// giveBack releases the slot of the request, if it still holds one.
func (s *served) giveBack() {
	if held := s.slot; held != nil {
		s.slot = nil
		held.release()
	}
}

type (
	connectionKey struct{}
	servedKey     struct{}
)

// withConnection stores a connection in the context of its requests, as
// http.Server.ConnContext. There is no other way from a request to its connection:
// http.Server.ConnState is told of a request when its header begins, which a slow client may
// never complete.
func (c *connections) withConnection(ctx context.Context, nc net.Conn) context.Context {
	if encrypted, ok := nc.(*tls.Conn); ok {
		nc = encrypted.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, nc)
}

// servedOf returns what is known of a request that is served, nil if it came by no connection.
func servedOf(r *http.Request) *served { return servedIn(r.Context()) }

// servedIn is servedOf for the request of a context.
func servedIn(ctx context.Context) *served {
	s, _ := ctx.Value(servedKey{}).(*served)
	return s
}

// markActive marks the connection of a request as active while next serves it.
func (c *connections) markActive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			conn.count(1)
			defer conn.count(-1)
			r = r.WithContext(context.WithValue(r.Context(), servedKey{}, &served{conn: conn}))
		}
		next.ServeHTTP(w, r)
	})
}
