package queue_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestHungry(t *testing.T) {
	q := queuetest.Start(t)
	hungry := func() bool {
		l, err := q.Queue.LoadNow(t.Context())
		expect.NoError(t, err)
		return l.Starved()
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
		task, err := q.Queue.Puller(queue.Bulk).Pull(t.Context())
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
