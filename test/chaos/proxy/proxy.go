// Package proxy is a TCP proxy that injects network faults. It can hold and slow down each
// direction of a connection, and reset and refuse connections.
//
// A link keeps TCP's promises, as a bad network does: it never loses or changes a byte of a
// connection, unless it resets the connection.
package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// State is the state of a link. The zero value passes everything on.
type State struct {
	Refuse  bool          // new connections are reset at once
	HoldIn  bool          // bytes to the target are held
	HoldOut bool          // bytes from the target are held
	Rate    int           // bytes per second and direction; 0 for no limit
	Delay   time.Duration // of every chunk of bytes
}

// Link listens on a local address and passes connections on to its target. Methods may be
// called concurrently.
type Link struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup
	dials    context.Context // ends when the link is closed
	stop     context.CancelFunc

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed when state changes
	closed  bool
	conns   map[net.Conn]struct{} // both ends of each connection
}

// Listen returns a link to the target, which need not listen yet. The caller must close the
// link.
func Listen(target string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a link to %s: %w", target, err)
	}
	l := &Link{listener: listener, target: target, changed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	l.dials, l.stop = context.WithCancel(context.Background())
	l.work.Go(l.accept)
	return l, nil
}

// Addr returns the address on which the link listens.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Set sets the state of the link. It applies to open connections, too.
func (l *Link) Set(s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	close(l.changed)
	l.changed = make(chan struct{})
}

// Reset resets all open connections.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		reset(c)
	}
}

// Close ends the link and its connections.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	_ = l.listener.Close() // an error would not matter any more
	l.Reset()
	l.work.Wait()
}

// reset closes a connection with a reset, as after a crash of the peer.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // if this fails, the connection is closed without a reset
	}
	_ = c.Close()
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		if state, _ := l.look(); state.Refuse {
			reset(near)
			continue
		}
		l.work.Go(func() { l.pass(near) })
	}
}

// look returns the state, and a channel that is closed when the state changes.
func (l *Link) look() (State, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.changed
}

// pass passes one connection on until both of its directions have ended.
func (l *Link) pass(near net.Conn) {
	far, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(l.dials, "tcp", l.target)
	if err != nil {
		reset(near)
		return
	}
	if !l.track(near, far) {
		reset(near)
		reset(far)
		return
	}
	defer l.untrack(near, far)
	done := make(chan struct{})
	var in sync.WaitGroup
	in.Go(func() { l.pump(far, near, true, done) })
	l.pump(near, far, false, done)
	close(done) // the target sends nothing more, so further bytes to it do not matter
	_ = near.Close()
	_ = far.Close()
	in.Wait()
}

func (l *Link) track(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.conns[c] = struct{}{}
	}
	return !l.closed
}

func (l *Link) untrack(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.conns, c)
	}
}

// pump passes on one direction of a connection until it ends or done is closed.
func (l *Link) pump(to, from net.Conn, in bool, done <-chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !l.deliver(to, buf[:n], in, done) {
			reset(from)
			return
		}
		if err != nil {
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite() // the other direction goes on
			}
			return
		}
	}
}

// deliver writes b when the state of the link allows it.
func (l *Link) deliver(to net.Conn, b []byte, in bool, done <-chan struct{}) bool {
	for len(b) > 0 {
		state, changed := l.look()
		if in && state.HoldIn || !in && state.HoldOut {
			select {
			case <-changed:
				continue
			case <-done:
				return false
			}
		}
		chunk, pause := len(b), state.Delay
		if state.Rate > 0 {
			chunk = min(len(b), max(1, state.Rate/10))
			pause += time.Duration(chunk) * time.Second / time.Duration(state.Rate)
		}
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-changed:
				continue
			case <-done:
				return false
			}
		}
		n, err := to.Write(b[:chunk])
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}
