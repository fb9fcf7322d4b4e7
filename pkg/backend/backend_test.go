package backend_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestCallsAreBounded(t *testing.T) {
	embedded := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: embedded, Timeout: 200 * time.Millisecond})
	expect.NoError(t, embedded.Shutdown())
	err := q.Queue.Publish(t.Context(), queue.Bulk, part("imp", "a"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "publish partition a of import imp") {
		t.Errorf("Publish without a server: %v", err)
	}
}

func TestEnsureWithoutJetStream(t *testing.T) {
	t.Parallel()
	plain, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true})
	expect.NoError(t, err)
	go plain.Start()
	t.Cleanup(plain.Shutdown)
	if !plain.ReadyForConnections(expect.Patience) {
		t.Fatal("the server is not ready")
	}
	q, err := backend.Connect(t.Context(), natsconn.Config{URL: plain.ClientURL(), Log: slog.New(slog.DiscardHandler), Timeout: 2 * time.Second}, backend.Options{})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	if err := q.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "JetStream, which has to be switched on") {
		t.Errorf("Ensure: %v", err)
	}
}

func TestEnsureRefusesMoreCopiesThanServers(t *testing.T) {
	t.Parallel()
	q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), Replicas: 3, Log: slog.New(slog.DiscardHandler), Timeout: 2 * time.Second}, backend.Options{})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	if err := q.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "nats.replicas is 3, and NATS has not as many servers") {
		t.Errorf("Ensure: %v", err)
	}
}

func TestBadIDsAreRefused(t *testing.T) {
	q := queuetest.Start(t)
	for _, id := range []string{"", "a.b", "*", ">", "a b"} {
		if err := q.Queue.Publish(t.Context(), queue.Bulk, part("imp", id)); err == nil {
			t.Errorf("published partition %q", id)
		}
		if err := q.Covers.Publish(t.Context(), id, "p", partition.Cover{}); err == nil {
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
		expect.NoError(t, q.Covers.Publish(ctx, imp, "a", cover(1)))
	}
	running := pull(t, q)
	expect.NoError(t, q.Discard(ctx, "imp"))
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding after Discard = %+v", got)
	}
	if n, err := q.Covers.Count(ctx, "imp"); err != nil || n != 0 {
		t.Errorf("CoverCount after Discard = %d, %v", n, err)
	}
	if got := queuetest.Outstanding(t, q, "other"); len(got) != 2 {
		t.Errorf("Outstanding of the other import = %+v", got)
	}
	if n, err := q.Covers.Count(ctx, "other"); err != nil || n != 1 {
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
	server, login := queuetest.StartListening(t, dir, "127.0.0.1:0")
	url := server.ClientURL()
	q := queuetest.Connect(t, natsconn.Config{URL: url, Login: login})
	publish(t, q, part("imp", "a"), part("imp", "b"))
	running := pull(t, q)
	expect.NoError(t, server.Shutdown())
	acked := make(chan error, 1)
	go func() { acked <- running.Ack(t.Context()) }() // starts while there is no server
	queuetest.StartListening(t, dir, strings.TrimPrefix(url, "nats://"))
	expect.NoError(t, expect.Received(t, "the answer of Ack", acked))
	task := pull(t, q)
	if task.Partition.ID != "b" {
		t.Errorf("pulled %+v, want b", task.Partition)
	}
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 1 {
		t.Errorf("Outstanding = %+v", got)
	}
}

func TestSurvey(t *testing.T) {
	q := queuetest.Start(t)
	ctx := t.Context()
	publish(t, q, part("a", "1"), part("a", "2"), part("b", "3"))
	for range 3 {
		expect.NoError(t, q.Covers.Publish(ctx, "a", "1", partition.Cover{}))
	}
	expect.NoError(t, q.Covers.Publish(ctx, "c", "9", partition.Cover{}))
	task := pull(t, q)
	expect.NoError(t, task.Nak(ctx, 0))
	task = pull(t, q)
	s, err := q.Survey(ctx)
	expect.NoError(t, err)
	if s.Queued+s.Running != 3 || s.Running < 1 || len(s.Partitions["a"]) != 2 || !slices.Equal(s.Partitions["b"], []string{"3"}) {
		t.Errorf("Survey = %+v", s)
	}
	if len(s.Covers) != 2 || s.Covers["a"] != 3 || s.Covers["c"] != 1 {
		t.Errorf("Survey's covers = %v", s.Covers)
	}
	parts, err := q.Queue.Partitions(ctx, task.Partition.ImportID, []string{task.Partition.ID, "gone"})
	if err != nil || !slices.Equal(parts, []partition.Partition{task.Partition}) {
		t.Errorf("Partitions = %+v, %v", parts, err)
	}
	if n, err := q.Queue.OutstandingCount(ctx, "a"); err != nil || n != 2 {
		t.Errorf("OutstandingCount = %d, %v", n, err)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server, Timeout: 300 * time.Millisecond})
	for _, lost := range [][]string{{"WORK"}, {"COVERS"}, {"WORK", "COVERS", "KV_leases"}} {
		queuetest.Lose(t, server, lost...)
		if _, err := q.Survey(t.Context()); !errors.Is(err, natsconn.ErrMissing) {
			t.Fatalf("survey without %q: %v", lost, err)
		}
		expect.NoError(t, q.Restore(t.Context()))
		_, err := q.Survey(t.Context())
		expect.NoError(t, err)
		publish(t, q, part("imp", "a"))
		expect.NoError(t, pull(t, q).Ack(t.Context()))
		expect.NoError(t, q.Covers.Publish(t.Context(), "imp", "a", cover(1)))
		lease, err := q.Leases.Acquire(t.Context(), "lease", "me")
		expect.NoError(t, err)
		expect.NoError(t, lease.Release(t.Context()))
	}
	queuetest.Lose(t, server, "KV_catalog")
	expect.NoError(t, q.Restore(t.Context()))
	if _, err := q.Bucket(kv.BucketCatalog).Create(t.Context(), "key", nil); err == nil {
		t.Error("a lost catalog was created again, empty")
	}
}
