package queuetest

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
)

// Lossy is a server whose connections break, when armed, after the next message
// that holds a text was sent and before anything is received.
type Lossy struct {
	nats.InProcessConnProvider
	armed atomic.Pointer[string]
	broke atomic.Int64
}

// InProcessConn returns a connection that may break.
func (l *Lossy) InProcessConn() (net.Conn, error) {
	conn, err := l.InProcessConnProvider.InProcessConn()
	return &lossyConn{Conn: conn, l: l}, err
}

type lossyConn struct {
	net.Conn
	l      *Lossy
	broken atomic.Bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if text := c.l.armed.Load(); text != nil && bytes.Contains(b, []byte(*text)) && c.l.armed.CompareAndSwap(text, nil) {
		c.broken.Store(true)
		c.l.broke.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.broken.Load() {
		return 0, io.EOF
	}
	return n, err
}

// Lose loses the answer to the next message that holds the text.
func (l *Lossy) Lose(text string) { l.armed.Store(&text) }

// Lost returns how many answers were lost.
func (l *Lossy) Lost() int64 { return l.broke.Load() }

// StartLossy returns a backend on a server that loses the answers that the test asks it to
// lose, at least one.
func StartLossy(t testing.TB) (b *backend.Backend, loseAnswerTo func(text string)) {
	server := &Lossy{InProcessConnProvider: StartServer(t, natsd.Config{})}
	b = Connect(t, natsconn.Config{InProcess: server})
	t.Cleanup(func() {
		if server.Lost() == 0 {
			t.Error("no answer was lost")
		}
	})
	return b, server.Lose
}
