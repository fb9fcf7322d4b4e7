package coordinator

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	source, _ := numbered(2000)
	open := newGate(source, "dir/000300", 2) // the planner lists the first page
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	before := f.log()
	id := f.start(s, request("", ""))
	var st Status
	expect.Eventually(t, "something is covered", func() bool {
		var err error
		st, err = s.Status(t.Context(), "repo", id)
		expect.NoError(t, err)
		return st.Objects > 0
	})
	if err := s.Cancel(t.Context(), "elsewhere", id); !fault.Is(err, fault.NotFound) {
		t.Errorf("cancel under another repository: %v", err)
	}
	if err := s.Cancel(t.Context(), "repo", "unknown"); !fault.Is(err, fault.NotFound) {
		t.Errorf("cancel of an unknown import: %v", err)
	}
	for range 2 { // again is harmless
		expect.NoError(t, s.Cancel(t.Context(), "repo", id))
	}
	r := f.ended(id)
	if r.State != imports.Canceled || r.Error != imports.CanceledText || r.Objects < st.Objects {
		t.Errorf("record %+v, want it canceled with at least %d objects", r, st.Objects)
	}
	if st, err := s.Status(t.Context(), "repo", id); err != nil || st.Objects < r.Objects || st.Commit != nil {
		t.Errorf("status %+v, %v", st, err)
	}
	f.cleared(id)
	if after := f.log(); len(after) != len(before) {
		t.Error("a canceled import left a commit")
	}
	open()
	done := f.do(s, request("", "again"))
	if err := s.Cancel(t.Context(), "repo", done.Job.ImportID); !fault.Is(err, fault.Conflict) {
		t.Errorf("cancel of a completed import: %v", err)
	}
	if r, err := f.imports.Get(t.Context(), done.Job.ImportID); err != nil || r.State != imports.Completed {
		t.Errorf("a completed import that was canceled is %s, %v", r.State, err)
	}
	expect.Eventually(t, "no import is followed after all have ended", func() bool { return len(s.followers.IDs()) == 0 })
}

// TestAnImportIsCanceledOrCommitted cancels an import at every step of its commit.
func TestAnImportIsCanceledOrCommitted(t *testing.T) {
	t.Parallel()
	canceled, completed := 0, 0
	everyStep(t, func(l *coveredImport, n int) {
		d := l.driver(l.mine)
		l.steps.n = 0
		l.steps.before = func(at int) error {
			if at == n {
				if err := l.other.Cancel(t.Context(), "repo", l.id); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("cancel at step %d: %v", n, err)
				}
			}
			return nil
		}
		if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
			t.Errorf("step %d: %v", n, err)
		}
		r := l.driveToEnd()
		l.verify(fmt.Sprintf("canceled at step %d", n), r, 0)
		if r.State == imports.Canceled {
			canceled++
		} else {
			completed++
		}
	})
	if canceled == 0 || completed == 0 {
		t.Errorf("%d were canceled and %d completed: no step was on the other side of the decision", canceled, completed)
	}
}

// TestCancelRacesWithCommit does the same with two goroutines, which wait for each other
// at a random step of the commit and then run freely.
func TestCancelRacesWithCommit(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	rng := seeded.Rand(t)
	canceled := 0
	const rounds = 220
	for round := range rounds {
		l := newLanding(t, q)
		d := l.driver(l.mine)
		met, both := 1+rng.IntN(16), make(chan struct{}, 2)
		l.steps.n = 0
		l.steps.before = meeting(met, both)
		theirs := &steps{before: meeting(2, both)} // the canceler is about to write the record
		canceler := fleetOf(l.fleet, stepKV{l.state, theirs}, stepKV{l.history, theirs}).service()
		var running sync.WaitGroup
		var stepped, refused error
		running.Go(func() { _, stepped = d.step(t.Context()) })
		running.Go(func() { refused = canceler.Cancel(t.Context(), "repo", l.id) })
		running.Wait()
		canceler.close()
		for _, err := range []error{stepped, refused} {
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Fatal(err)
			}
		}
		r := l.driveToEnd()
		l.verify(fmt.Sprintf("round %d", round), r, 0)
		if (refused == nil) != (r.State == imports.Canceled) {
			t.Fatalf("round %d: Cancel returned %v, and the import is %s", round, refused, r.State)
		}
		if refused == nil {
			canceled++
		}
	}
	if canceled < rounds/20 || canceled > rounds*19/20 {
		t.Errorf("%d of %d were canceled: there was no race", canceled, rounds)
	}
}

// meeting makes the n-th step wait for the other goroutine.
func meeting(n int, both chan struct{}) func(int) error {
	return func(at int) error {
		if at != n {
			return nil
		}
		both <- struct{}{}
		deadline := time.After(expect.Patience)
		for len(both) < 2 {
			select {
			case <-deadline:
				return errors.New("the other goroutine did not reach its step")
			default:
				runtime.Gosched()
			}
		}
		return nil
	}
}
