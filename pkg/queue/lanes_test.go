package queue_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
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
		if err := q.PublishTo(ctx, queue.Express, express); err != nil {
			t.Fatal(err)
		}
	}
	task, err := q.Puller(queue.Express).Pull(ctx)
	if err != nil || task.Partition != express {
		t.Fatalf("pulled %+v, %v", task, err)
	}
	if got := queuetest.Outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{bulk, express}) {
		t.Errorf("Outstanding = %+v, want those of both lanes", got)
	}
	if s, err := q.Survey(ctx); err != nil || s.Queued != 2 || s.Running != 1 || len(s.Partitions["imp"]) != 2 {
		t.Errorf("Survey = %+v, %v", s, err)
	}
	if l, err := q.LoadNow(ctx); err != nil || l != (queue.Load{Pending: 2, Next: "other"}) {
		t.Errorf("Load = %+v, %v", l, err)
	}
	pull(t, q)
	if l, err := q.LoadNow(ctx); err != nil || l != (queue.Load{Pending: 1, Running: 1, Next: "imp"}) {
		t.Errorf("Load = %+v, %v", l, err)
	}
	if err := q.Discard(ctx, "imp"); err != nil {
		t.Fatal(err)
	}
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding = %+v after Discard", got)
	}
}

func TestAFullQueueForgetsNothing(t *testing.T) {
	q := queuetest.Connect(t, queue.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), MaxQueued: 2})
	a, b, c := part("imp", "a"), part("imp", "b"), part("imp", "c")
	publish(t, q, a, b)
	if err := q.Publish(t.Context(), c); !errors.Is(err, queue.ErrFull) {
		t.Fatalf("Publish: %v, want %v", err, queue.ErrFull)
	}
	if got := queuetest.Outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{a, b}) {
		t.Errorf("Outstanding = %+v", got)
	}
	if err := pull(t, q).Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, q, c)
}

// TestAnOutlookIsSharedByAllProcesses has ten processes that need an outlook
// and one that does not, and only hears what they tell.
func TestAnOutlookIsSharedByAllProcesses(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, queue.Config{InProcess: server})
	publish(t, q, part("imp", "a"))
	needed := func() bool { return true }
	var outlooks []*queue.Outlook
	for range 10 {
		o, err := queuetest.Connect(t, queue.Config{InProcess: server}).Outlook(t.Context(), needed)
		if err != nil {
			t.Fatal(err)
		}
		outlooks = append(outlooks, o)
	}
	silent, err := queuetest.Connect(t, queue.Config{InProcess: server}).Outlook(t.Context(), func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	expect.Eventually(t, "everybody has heard, he too who does not ask", func() bool {
		for _, o := range append(outlooks, silent) {
			if l, seq := o.Latest(); seq == 0 || l != (queue.Load{Pending: 1, Next: "imp"}) {
				return false
			}
		}
		return true
	})
}
