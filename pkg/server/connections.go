package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// connections bounds the open connections of a server. A connection is served while a
// handler runs for it, and waits else: for a request, for the rest of its header, or
// for a client that does not read. When one more comes than may be open, the one
// that has waited longest is closed. So no number of clients that are slow or idle
// keeps another one out.
type connections struct {
	most    int
	evicted prometheus.Counter // that gave way, or found no room

	mu      sync.Mutex
	open    int
	waiting list.List // of *connection; the one that has waited longest is in front
}

// connection is one of them.
type connection struct {
	net.Conn
	of     *connections
	closed bool
	place  *list.Element // in waiting; nil while it is served or closed
}

// listen returns a listener whose connections count.
func (c *connections) listen(l net.Listener) net.Listener { return &listener{Listener: l, of: c} }

type listener struct {
	net.Listener
	of *connections
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn := l.of.add(nc); conn != nil {
			return conn, nil
		}
		l.of.evicted.Inc()
		_ = nc.Close() // all that are open are served
	}
}

// add takes a connection in, or returns nil if there is no room and none to make.
func (c *connections) add(nc net.Conn) *connection {
	c.mu.Lock()
	var oldest *connection
	if c.open == c.most {
		e := c.waiting.Front()
		if e == nil {
			c.mu.Unlock()
			return nil
		}
		oldest = e.Value.(*connection)
		oldest.leave()
	}
	c.open++
	conn := &connection{Conn: nc, of: c}
	conn.place = c.waiting.PushBack(conn)
	c.mu.Unlock()
	if oldest != nil {
		c.evicted.Inc()
		_ = oldest.Conn.Close()
	}
	return conn
}

// Close closes the connection, which counts no more.
func (conn *connection) Close() error {
	conn.of.mu.Lock()
	conn.leave()
	conn.of.mu.Unlock()
	return conn.Conn.Close()
}

// leave is called with the lock held, once or more.
func (conn *connection) leave() {
	if conn.closed {
		return
	}
	conn.closed = true
	conn.of.open--
	conn.rest(false)
}

// rest notes, with the lock held, whether the connection waits.
func (conn *connection) rest(waits bool) {
	switch waiting := &conn.of.waiting; {
	case waits && conn.place == nil && !conn.closed:
		conn.place = waiting.PushBack(conn)
	case !waits && conn.place != nil:
		waiting.Remove(conn.place)
		conn.place = nil
	}
}

// turn is rest, with the lock taken.
func (conn *connection) turn(waits bool) {
	conn.of.mu.Lock()
	defer conn.of.mu.Unlock()
	conn.rest(waits)
}

type connectionKey struct{}

// keep tells handlers, by the context of a request, which connection it came over.
func (c *connections) keep(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, nc)
}

// serve notes which connections are served.
func (c *connections) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			conn.turn(false)
			defer conn.turn(true)
		}
		next.ServeHTTP(w, r)
	})
}
