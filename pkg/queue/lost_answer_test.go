package queue_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// lossy is a server whose connections break, when armed, after the next message
// that holds a text was sent and before anything is received.
type lossy struct {
	nats.InProcessConnProvider
	armed atomic.Pointer[string]
	broke atomic.Int64
}

func (l *lossy) InProcessConn() (net.Conn, error) {
	conn, err := l.InProcessConnProvider.InProcessConn()
	return &lossyConn{Conn: conn, l: l}, err
}

type lossyConn struct {
	net.Conn
	l      *lossy
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

func startLossy(t *testing.T) (*queue.Queue, func(text string)) {
	server := &lossy{InProcessConnProvider: queuetest.StartServer(t, natsd.Config{})}
	q := queuetest.Connect(t, queue.Config{InProcess: server})
	t.Cleanup(func() {
		if server.broke.Load() == 0 {
			t.Error("no answer was lost")
		}
	})
	return q, func(text string) { server.armed.Store(&text) }
}

func TestWriteWhoseAnswerIsLostIsNoConflict(t *testing.T) {
	q, loseAnswerTo := startLossy(t)
	kv, ctx := q.KV(queue.BucketImports), t.Context()

	loseAnswerTo("Rangefleet-Nonce")
	first, err := kv.Create(ctx, "key", []byte("1"))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	loseAnswerTo("Rangefleet-Nonce")
	second, err := kv.Update(ctx, "key", []byte("2"), first)
	if err != nil || second != first+1 {
		t.Fatalf("Update = %d, %v, want %d: stored once", second, err, first+1)
	}
	if got, rev, err := kv.Get(ctx, "key"); err != nil || string(got) != "2" || rev != second {
		t.Errorf("Get = %q, %d, %v", got, rev, err)
	}
	loseAnswerTo("Rangefleet-Nonce")
	if _, err := kv.Update(ctx, "key", []byte("x"), first); !errors.Is(err, queue.ErrConflict) {
		t.Errorf("Update at an old revision: %v, want ErrConflict", err)
	}
}

// The server that answers then may be one that does not know of the write yet.
func TestWriteWhoseAnswerIsLostIsNoConflictToAServerThatIsBehind(t *testing.T) {
	past := &behind{InProcessConnProvider: queuetest.StartServer(t, natsd.Config{})}
	server := &lossy{InProcessConnProvider: past}
	kv, ctx := queuetest.Connect(t, queue.Config{InProcess: server}).KV(queue.BucketAuth), t.Context()
	nonce := "Rangefleet-Nonce"
	lose := func() {
		server.armed.Store(&nonce)
		past.messages.Store(1)
	}
	create(t, kv, "kex", "of another key")
	lose()
	rev, err := kv.Create(ctx, "key", []byte("value"))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	lose()
	if rev, err = kv.Update(ctx, "key", []byte("value"), rev); err != nil {
		t.Fatalf("Update: %v", err)
	}
	lose()
	if err := kv.Delete(ctx, "key", rev); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if broke, left := server.broke.Load(), past.messages.Load(); broke != 3 || left > 0 {
		t.Errorf("%d answers were lost, and %d reads not made", broke, left)
	}
}

func TestPartitionWhoseAnswersAreLostIsQueuedAndAckedOnce(t *testing.T) {
	q, loseAnswerTo := startLossy(t)
	loseAnswerTo("w.imp.a")
	publish(t, q, part("imp", "a"))
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 1 {
		t.Fatalf("Outstanding = %+v", got)
	}
	task := pull(t, q)
	loseAnswerTo("+ACK")
	if err := task.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding after Ack = %+v", got)
	}
}
