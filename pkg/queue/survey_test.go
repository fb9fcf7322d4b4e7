package queue_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestHungry(t *testing.T) {
	q := queuetest.Start(t)
	hungry := func() bool {
		l, err := q.LoadNow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return l.Hungry()
	}
	if hungry() {
		t.Error("hungry while nobody waits")
	}
	publish(t, q, part("imp", "a"))
	running := pull(t, q)
	if hungry() {
		t.Error("hungry while nobody waits and one runs")
	}
	got := make(chan *queue.Task, 1)
	go func() {
		task, err := q.Puller(queue.Bulk).Pull(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- task
	}()
	expect.Eventually(t, "hungry while one waits", hungry)
	publish(t, q, part("imp", "b"))
	expect.Received(t, "a partition", got)
	expect.Eventually(t, "sated once it was served", func() bool { return !hungry() })
	_ = running
}

func TestSurvey(t *testing.T) {
	q := queuetest.Start(t)
	ctx := t.Context()
	publish(t, q, part("a", "1"), part("a", "2"), part("b", "3"))
	for range 3 {
		if err := q.PublishCover(ctx, "a", "1", partition.Cover{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.PublishCover(ctx, "c", "9", partition.Cover{}); err != nil {
		t.Fatal(err)
	}
	task := pull(t, q)
	if err := task.Nak(ctx, 0); err != nil {
		t.Fatal(err)
	}
	task = pull(t, q)
	s, err := q.Survey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.Queued+s.Running != 3 || s.Running < 1 || len(s.Partitions["a"]) != 2 || !slices.Equal(s.Partitions["b"], []string{"3"}) {
		t.Errorf("Survey = %+v", s)
	}
	if len(s.Covers) != 2 || s.Covers["a"] != 3 || s.Covers["c"] != 1 {
		t.Errorf("Survey's covers = %v", s.Covers)
	}
	parts, err := q.Partitions(ctx, task.Partition.ImportID, []string{task.Partition.ID, "gone"})
	if err != nil || !slices.Equal(parts, []partition.Partition{task.Partition}) {
		t.Errorf("Partitions = %+v, %v", parts, err)
	}
	if n, err := q.OutstandingCount(ctx, "a"); err != nil || n != 2 {
		t.Errorf("OutstandingCount = %d, %v", n, err)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, queue.Config{InProcess: server, Timeout: 300 * time.Millisecond})
	for _, lost := range [][]string{{"WORK"}, {"COVERS"}, {"WORK", "COVERS", "KV_leases"}} {
		queuetest.Lose(t, server, lost...)
		if _, err := q.Survey(t.Context()); !errors.Is(err, queue.ErrMissing) {
			t.Fatalf("survey without %q: %v", lost, err)
		}
		expect.NoError(t, q.Restore(t.Context()))
		_, err := q.Survey(t.Context())
		expect.NoError(t, err)
		publish(t, q, part("imp", "a"))
		expect.NoError(t, pull(t, q).Ack(t.Context()))
		expect.NoError(t, q.PublishCover(t.Context(), "imp", "a", cover(1)))
		lease, err := q.Acquire(t.Context(), "lease", "me")
		expect.NoError(t, err)
		expect.NoError(t, lease.Release(t.Context()))
	}
	queuetest.Lose(t, server, "KV_catalog")
	expect.NoError(t, q.Restore(t.Context()))
	if _, err := q.KV(queue.BucketCatalog).Create(t.Context(), "key", nil); err == nil {
		t.Error("a lost catalog was made anew, empty")
	}
}
