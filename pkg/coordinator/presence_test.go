package coordinator

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestAnImportThatNobodyWorksOnTellsSo looks at a fleet without workers for long, and
// then gives it one.
func TestAnImportThatNobodyWorksOnTellsSo(t *testing.T) {
	t.Parallel()
	source, _ := numbered(500)
	f := newFleet(t, source)
	s := f.service()
	expect.NoError(t, s.watch.workers.listen(t.Context(), f.backend))
	id := f.start(s, request("", ""))
	f.run(func(ctx context.Context) { _ = s.drive(ctx, id) })
	f.planned(id)
	problem := func(after time.Duration) string {
		f.clock.Add(int64(after))
		expect.NoError(t, s.watch.survey(t.Context()))
		r, err := f.imports.Get(t.Context(), id)
		expect.NoError(t, err)
		return r.Problem
	}
	if got := problem(0); got != "" {
		t.Errorf("at first there is a problem: %s", got)
	}
	expect.Eventually(t, "the import tells that nobody works on it", func() bool { return problem(surveysWithin/2) == noWorkers })
	f.work(1)
	expect.Eventually(t, "the import ends", func() bool {
		_ = problem(0)
		r, err := f.imports.Get(t.Context(), id)
		return err == nil && r.State.Ended()
	})
	if r := f.completed(id); r.Problem != "" || r.Objects != 500 {
		t.Errorf("completed with %d objects and the problem %q", r.Objects, r.Problem)
	}
}

func TestWorkersAreMissedOnceNoneWasHeardForLong(t *testing.T) {
	q := queuetest.Start(t)
	var w workerPresence
	now := time.Now()
	look := func(after time.Duration, waiting int, missed bool) {
		t.Helper()
		now = now.Add(after)
		if w.note(queue.Survey{Waiting: waiting}, now); w.missing(now) != missed {
			t.Errorf("missed: %t, want %t", !missed, missed)
		}
	}
	const half = missingAfter / 2
	for range 5 {
		look(half, 0, false) // nothing could be heard
	}
	expect.NoError(t, w.listen(t.Context(), q))
	look(surveysWithin, 0, false)
	look(half, 0, false)
	look(half, 0, true)
	look(half, 1, false) // one waits for a partition
	look(half, 0, false)
	look(half, 0, true)
	look(surveysWithin, 0, false) // while nobody looked it may have been there
	look(half, 0, false)
	look(half, 0, true)
	if w.missing(now.Add(surveysWithin)) {
		t.Error("workers are missed though nobody looks")
	}
	// A worker asks how the bulk lane stands, and tells all.
	_, err := q.Queue.WatchLoad(t.Context(), q.Gossip, func() bool { return true })
	expect.NoError(t, err)
	_, before := w.load.Last()
	expect.Eventually(t, "a worker is heard", func() bool { _, seq := w.load.Last(); return seq > before })
	look(half, 0, false)
}
