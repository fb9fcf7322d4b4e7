package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// A partition that is given back for an hour stands in NATS as one does that was
// delivered by a server whose clock was an hour ahead.
func TestRecountFreesWhatWouldBeAway(t *testing.T) {
	t.Parallel()
	for _, lane := range []queue.Lane{queue.Bulk, queue.Express} {
		q := queuetest.Connect(t, queue.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), AckWait: 500 * time.Millisecond})
		p := part("imp", "a")
		expect.NoError(t, q.PublishTo(t.Context(), lane, p))
		puller := q.Puller(lane)
		task, err := puller.Pull(t.Context())
		expect.NoError(t, err)
		expect.NoError(t, task.Nak(t.Context(), time.Hour))
		expect.NoError(t, q.Recount(t.Context(), "imp", []string{"a", "gone"}))
		ctx, cancel := context.WithTimeout(t.Context(), expect.Patience)
		defer cancel()
		again, err := puller.Pull(ctx)
		expect.NoError(t, err)
		if again.Partition != p || again.Deliveries != 2 {
			t.Errorf("delivered %+v for the %d. time", again.Partition, again.Deliveries)
		}
		expect.NoError(t, again.Ack(t.Context()))
	}
}

// One that nobody was given is delivered as ever, and once.
func TestRecountLeavesAloneWhatWaits(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	publish(t, q, part("imp", "a"))
	expect.NoError(t, q.Recount(t.Context(), "imp", []string{"a"}))
	task := pull(t, q)
	if task.Deliveries != 1 {
		t.Errorf("delivered for the %d. time", task.Deliveries)
	}
	expect.NoError(t, task.Ack(t.Context()))
}
