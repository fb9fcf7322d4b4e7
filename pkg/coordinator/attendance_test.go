package coordinator

import (
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestAnImportThatNobodyWorksOnTellsSo leaves a fleet without workers for long, and
// then gives it one.
func TestAnImportThatNobodyWorksOnTellsSo(t *testing.T) {
	t.Parallel()
	source, _ := numbered(500)
	f := newFleet(t, source)
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	f.planned(id)
	problem := func() string {
		status, err := s.Status(t.Context(), "repo", id)
		expect.NoError(t, err)
		return status.Record.Problem
	}
	if got := problem(); got != "" {
		t.Errorf("at first there is a problem: %s", got)
	}
	expect.Eventually(t, "the import tells that nobody works on it", func() bool {
		f.clock.Add(int64(missedAfter))
		return problem() == unattended
	})
	f.work(1)
	if r := f.completed(id); r.Problem != "" || r.Objects != 500 {
		t.Errorf("completed with %d objects and the problem %q", r.Objects, r.Problem)
	}
}

func TestWorkersAreMissedOnceNoneWasHeardForLong(t *testing.T) {
	q := queuetest.Start(t)
	var a attendance
	begun := time.Now()
	if a.note(queue.Survey{}, begun); a.missed(begun.Add(time.Hour)) {
		t.Error("workers are missed of whom nothing could be heard")
	}
	expect.NoError(t, a.listen(t.Context(), q))
	// A worker asks how the bulk lane stands, and tells all.
	_, err := q.Outlook(t.Context(), func() bool { return true })
	expect.NoError(t, err)
	expect.Eventually(t, "a worker is heard", func() bool { _, seq := a.outlook.Latest(); return seq > 0 })
	heard, waited := begun.Add(missedAfter), begun.Add(2*missedAfter)
	if a.note(queue.Survey{}, heard); a.missed(heard.Add(missedAfter - 1)) {
		t.Error("a worker is missed that talked")
	}
	if a.note(queue.Survey{Waiting: 1}, waited); a.missed(waited.Add(missedAfter - 1)) {
		t.Error("a worker is missed that waited for a partition")
	}
	if !a.missed(waited.Add(missedAfter)) {
		t.Error("no worker is missed though none was heard of for long")
	}
}
