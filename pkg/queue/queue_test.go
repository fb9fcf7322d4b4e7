package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestConnectEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	q, err := queue.Connect(ctx, queue.Config{URL: "nats://127.0.0.1:1", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		q.Close()
		t.Fatal("connected to a closed port")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect: %v, want context.DeadlineExceeded", err)
	}
}

func TestCallsAreBounded(t *testing.T) {
	embedded := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, queue.Config{InProcess: embedded, Timeout: 200 * time.Millisecond})
	if err := embedded.Shutdown(); err != nil {
		t.Fatal(err)
	}
	err := q.Publish(t.Context(), part("imp", "a"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "publish partition a of import imp") {
		t.Errorf("Publish without a server: %v", err)
	}
}

func TestWithoutJetStreamThereIsNoQueue(t *testing.T) {
	t.Parallel()
	plain, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true})
	expect.NoError(t, err)
	go plain.Start()
	t.Cleanup(plain.Shutdown)
	if !plain.ReadyForConnections(expect.Patience) {
		t.Fatal("the server is not ready")
	}
	q, err := queue.Connect(t.Context(), queue.Config{URL: plain.ClientURL(), Log: slog.New(slog.DiscardHandler), Timeout: 2 * time.Second})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	if err := q.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "JetStream, which has to be switched on") {
		t.Errorf("Ensure: %v", err)
	}
}

func TestMoreCopiesThanServersAreRefused(t *testing.T) {
	t.Parallel()
	q, err := queue.Connect(t.Context(), queue.Config{
		InProcess: queuetest.StartServer(t, natsd.Config{}), Replicas: 3, Log: slog.New(slog.DiscardHandler), Timeout: 2 * time.Second,
	})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	if err := q.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "nats.replicas is 3, and NATS has not as many servers") {
		t.Errorf("Ensure: %v", err)
	}
}

func TestBadIDsAreRefused(t *testing.T) {
	q := queuetest.Start(t)
	for _, id := range []string{"", "a.b", "*", ">", "a b"} {
		if err := q.Publish(t.Context(), part("imp", id)); err == nil {
			t.Errorf("published partition %q", id)
		}
		if err := q.PublishCover(t.Context(), id, "p", partition.Cover{}); err == nil {
			t.Errorf("published a cover of import %q", id)
		}
		if err := q.Discard(t.Context(), id); err == nil {
			t.Errorf("discarded import %q", id)
		}
	}
}

func TestDiscardRemovesOneImport(t *testing.T) {
	q := queuetest.Start(t)
	ctx := t.Context()
	for _, imp := range []string{"imp", "other"} {
		publish(t, q, part(imp, "a"), part(imp, "b"))
		if err := q.PublishCover(ctx, imp, "a", cover(1)); err != nil {
			t.Fatal(err)
		}
	}
	running := pull(t, q)
	if err := q.Discard(ctx, "imp"); err != nil {
		t.Fatal(err)
	}
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding after Discard = %+v", got)
	}
	if n, err := q.CoverCount(ctx, "imp"); err != nil || n != 0 {
		t.Errorf("CoverCount after Discard = %d, %v", n, err)
	}
	if got := queuetest.Outstanding(t, q, "other"); len(got) != 2 {
		t.Errorf("Outstanding of the other import = %+v", got)
	}
	if n, err := q.CoverCount(ctx, "other"); err != nil || n != 1 {
		t.Errorf("CoverCount of the other import = %d, %v", n, err)
	}
	if err := running.Ack(ctx); err != nil {
		t.Errorf("Ack of a discarded partition: %v", err)
	}
	if task := pull(t, q); task.Partition.ImportID != "other" {
		t.Errorf("pulled %+v", task.Partition)
	}
}

func TestQueueSurvivesServerRestart(t *testing.T) {
	dir := t.TempDir()
	server := queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	url := server.ClientURL()
	q := queuetest.Connect(t, queue.Config{URL: url})
	publish(t, q, part("imp", "a"), part("imp", "b"))
	running := pull(t, q)
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	acked := make(chan error, 1)
	go func() { acked <- running.Ack(t.Context()) }() // starts while there is no server
	queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: strings.TrimPrefix(url, "nats://")})
	if err := expect.Received(t, "the answer of Ack", acked); err != nil {
		t.Fatal(err)
	}
	task := pull(t, q)
	if task.Partition.ID != "b" {
		t.Errorf("pulled %+v, want b", task.Partition)
	}
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 1 {
		t.Errorf("Outstanding = %+v", got)
	}
}
