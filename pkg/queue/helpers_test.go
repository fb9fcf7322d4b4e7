package queue_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

var (
	part    = queuetest.Partition
	publish = queuetest.Publish
	pull    = queuetest.Pull
)

// startPull begins to wait for a partition of the bulk lane and returns where it arrives.
func startPull(t *testing.T, b *backend.Backend) <-chan *queue.Task {
	got := make(chan *queue.Task, 1)
	go func() {
		task, err := b.Queue.Puller(queue.Bulk).Pull(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- task
	}()
	return got
}
