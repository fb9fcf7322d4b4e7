package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// connections bounds the open connections of a server. A connection is active while a
// handler runs for it. Otherwise it is idle: it waits for a request, for the rest of a
// header, or for the client to read an answer. When there are too many connections, the one
// that has been idle longest is closed. So slow and idle clients, however many, cannot lock
// out others.
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
	element *list.Element // of all.idle; nil while the connection is active or closed

	slot slots // one of which the request that is served holds, or nil; only its goroutine uses it
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
	conn.setIdle(false)
}

// setIdle notes whether the connection is idle. The lock must be held.
func (conn *connection) setIdle(is bool) {
	switch idle := &conn.all.idle; {
	case is && conn.element == nil && !conn.closed:
		conn.element = idle.PushBack(conn)
	case !is && conn.element != nil:
		idle.Remove(conn.element)
		conn.element = nil
	}
}

// turn is setIdle for callers that do not hold the lock.
func (conn *connection) turn(idle bool) {
	conn.all.mu.Lock()
	defer conn.all.mu.Unlock()
	conn.setIdle(idle)
}

// idleDuring calls f, and counts the connection as idle meanwhile: it may be closed for another
// one. The connection may be nil.
func (conn *connection) idleDuring(f func() bool) bool {
	if conn != nil {
		conn.turn(true)
		defer conn.turn(false)
	}
	return f()
}

// giveBack releases the slot of the request that is served, if it still holds one.
func (conn *connection) giveBack() {
	if held := conn.slot; held != nil {
		conn.slot = nil
		held.release()
	}
}

type connectionKey struct{}

// withConnection stores a connection in the context of its requests, as
// http.Server.ConnContext. There is no other way from a request to its connection:
// http.Server.ConnState is told of a request when its header begins, which a slow client may
// never complete.
func (c *connections) withConnection(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, nc)
}

// connectionOf returns the connection of a request, nil if it came by none.
func connectionOf(r *http.Request) *connection {
	conn, _ := r.Context().Value(connectionKey{}).(*connection)
	return conn
}

// markActive marks the connection of a request as active while next serves it.
func (c *connections) markActive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn := connectionOf(r); conn != nil {
			conn.turn(false)
			defer conn.turn(true)
		}
		next.ServeHTTP(w, r)
	})
}
