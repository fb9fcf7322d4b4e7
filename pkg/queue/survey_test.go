package queue_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestStarved(t *testing.T) {
	q := queuetest.Start(t)
	starved := func() bool {
		l, err := q.Queue.LoadNow(t.Context())
		expect.NoError(t, err)
		return l.Starved()
	}
	if starved() {
		t.Error("starved while no worker waits")
	}
	publish(t, q, part("imp", "a"))
	running := pull(t, q)
	if starved() {
		t.Error("starved while no worker waits and one runs")
	}
	got := startPull(t, q)
	expect.Eventually(t, "starved while one waits", starved)
	publish(t, q, part("imp", "b"))
	expect.Received(t, "a partition", got)
	expect.Eventually(t, "not starved once it got a partition", func() bool { return !starved() })
	_ = running
}
