package queue_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestLanesDoNotWaitForEachOther(t *testing.T) {
	q := queuetest.Start(t)
	ctx := t.Context()
	bulk, express := part("imp", "a"), part("imp", "b")
	publish(t, q, part("other", "x"), bulk)
	for range 2 {
		expect.NoError(t, q.Queue.Publish(ctx, queue.Express, express))
	}
	task, err := q.Queue.Puller(queue.Express).Pull(ctx)
	if err != nil || task.Partition != express {
		t.Fatalf("pulled %+v, %v", task, err)
	}
	if got := queuetest.Outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{bulk, express}) {
		t.Errorf("Outstanding = %+v, want those of both lanes", got)
	}
	if s, err := q.Survey(ctx); err != nil || s.Queued != 2 || s.Running != 1 || len(s.Partitions["imp"]) != 2 {
		t.Errorf("Survey = %+v, %v", s, err)
	}
	if l, err := q.Queue.LoadNow(ctx); err != nil || l != (queue.LaneLoad{Pending: 2, Next: "other"}) {
		t.Errorf("Load = %+v, %v", l, err)
	}
	pull(t, q)
	if l, err := q.Queue.LoadNow(ctx); err != nil || l != (queue.LaneLoad{Pending: 1, Running: 1, Next: "imp"}) {
		t.Errorf("Load = %+v, %v", l, err)
	}
	expect.NoError(t, q.Discard(ctx, "imp"))
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding = %+v after Discard", got)
	}
}

func TestAFullQueueForgetsNothing(t *testing.T) {
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{Queue: queue.Config{MaxQueued: 2}})
	a, b, c := part("imp", "a"), part("imp", "b"), part("imp", "c")
	publish(t, q, a, b)
	if err := q.Queue.Publish(t.Context(), queue.Bulk, c); !errors.Is(err, queue.ErrFull) {
		t.Fatalf("Publish: %v, want %v", err, queue.ErrFull)
	}
	if got := queuetest.Outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{a, b}) {
		t.Errorf("Outstanding = %+v", got)
	}
	expect.NoError(t, pull(t, q).Ack(t.Context()))
	publish(t, q, c)
}

// TestALoadWatchIsSharedByAllProcesses has ten processes that need the load, and one that
// does not and only receives what they broadcast.
func TestALoadWatchIsSharedByAllProcesses(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	publish(t, queuetest.Connect(t, natsconn.Config{InProcess: server}), part("imp", "a"))
	var watches []*queue.LoadWatch
	for i := range 11 {
		b := queuetest.Connect(t, natsconn.Config{InProcess: server})
		w, err := b.Queue.WatchLoad(t.Context(), b.Gossip, func() bool { return i > 0 })
		expect.NoError(t, err)
		watches = append(watches, w)
	}
	expect.Eventually(t, "all processes know the load", func() bool {
		for _, w := range watches {
			if l, seq := w.Last(); seq == 0 || l != (queue.LaneLoad{Pending: 1, Next: "imp"}) {
				return false
			}
		}
		return true
	})
}
