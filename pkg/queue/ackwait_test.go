package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// A Nak with a delay of an hour leaves a partition in the state of one that was delivered
// by a server whose clock was an hour ahead.
func TestResetAckWaitMakesAPartitionAvailable(t *testing.T) {
	t.Parallel()
	for _, lane := range []queue.Lane{queue.Bulk, queue.Express} {
		q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{Queue: queue.Config{AckWait: 500 * time.Millisecond}})
		p := part("imp", "a")
		expect.NoError(t, q.Queue.Publish(t.Context(), lane, p))
		puller := q.Queue.Puller(lane)
		task, err := puller.Pull(t.Context())
		expect.NoError(t, err)
		expect.NoError(t, task.Nak(t.Context(), time.Hour))
		expect.NoError(t, q.Queue.ResetAckWait(t.Context(), "imp", []string{"a", "gone"}))
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

// A partition that was not delivered yet is delivered once, as usual.
func TestResetAckWaitLeavesQueuedPartitions(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	publish(t, q, part("imp", "a"))
	expect.NoError(t, q.Queue.ResetAckWait(t.Context(), "imp", []string{"a"}))
	task := pull(t, q)
	if task.Deliveries != 1 {
		t.Errorf("delivered for the %d. time", task.Deliveries)
	}
	expect.NoError(t, task.Ack(t.Context()))
}
