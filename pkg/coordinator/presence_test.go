package coordinator

import (
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestAnImportReportsThatThereAreNoWorkers runs a fleet without workers for long, and then
// adds one.
func TestAnImportReportsThatThereAreNoWorkers(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 500)
	s := f.service()
	expect.NoError(t, s.watch.listen(t.Context()))
	id := f.start(s, request("", ""))
	drive(f, s, id)
	f.planned(id)
	problem := func(after time.Duration) string {
		f.clock.Add(int64(after))
		expect.NoError(t, s.watch.survey(t.Context()))
		return f.record(id).Problem
	}
	if got := problem(0); got != "" {
		t.Errorf("at first there is a problem: %s", got)
	}
	expect.Eventually(t, "the import reports that there are no workers", func() bool { return problem(surveysWithin/2) == noWorkers })
	f.work(1)
	expect.Eventually(t, "the import ends", func() bool {
		_ = problem(0)
		return f.record(id).State.Ended()
	})
	completes(f, id, len(entries))
}

func TestWorkersAreMissingAfterAWhile(t *testing.T) {
	q := queuetest.Start(t)
	var w workerPresence
	now := time.Now()
	survey := func(after time.Duration, waiting int, missing bool) {
		t.Helper()
		now = now.Add(after)
		if w.note(queue.Survey{Waiting: waiting}, now); w.missing(now) != missing {
			t.Errorf("missing: %t, want %t", !missing, missing)
		}
	}
	const half = missingAfter / 2
	for range 5 {
		survey(half, 0, false) // the workers are not listened to
	}
	var err error
	w.load, err = q.Queue.WatchLoad(t.Context(), q.Gossip, func() bool { return false })
	expect.NoError(t, err)
	survey(surveysWithin, 0, false)
	survey(half, 0, false)
	survey(half, 0, true)
	survey(half, 1, false) // a worker waits for a partition
	survey(half, 0, false)
	survey(half, 0, true)
	survey(surveysWithin, 0, false) // there may have been a worker while no survey was taken
	survey(half, 0, false)
	survey(half, 0, true)
	if w.missing(now.Add(surveysWithin)) {
		t.Error("workers are missing though no survey was taken")
	}
	// A worker reads the load of the bulk lane, and broadcasts it.
	_, err = q.Queue.WatchLoad(t.Context(), q.Gossip, func() bool { return true })
	expect.NoError(t, err)
	_, before := w.load.Last()
	expect.Eventually(t, "the load is heard", func() bool { _, seq := w.load.Last(); return seq > before })
	survey(half, 0, false)
}
