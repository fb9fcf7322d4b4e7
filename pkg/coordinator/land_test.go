package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

var errKilled = errors.New("killed")

// steps counts the calls to the buckets that it wraps and can do something
// before and after any one of them.
type steps struct {
	mu     sync.Mutex
	n      int
	before func(n int) error // the call is not made
	after  func(n int) error // its answer is lost
}

// around makes the call, which is the n-th.
func (s *steps) around(call func() error) error {
	s.mu.Lock()
	s.n++
	n, before, after := s.n, s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(n); err != nil {
			return err
		}
	}
	err := call()
	if after != nil {
		if lost := after(n); lost != nil {
			return lost
		}
	}
	return err
}

// stepKV is a bucket whose calls are steps.
type stepKV struct {
	queue.KV
	steps *steps
}

func (k stepKV) Get(ctx context.Context, key string) (value []byte, rev uint64, err error) {
	err = k.steps.around(func() error { value, rev, err = k.KV.Get(ctx, key); return err })
	return value, rev, err
}

func (k stepKV) Create(ctx context.Context, key string, value []byte) (rev uint64, err error) {
	err = k.steps.around(func() error { rev, err = k.KV.Create(ctx, key, value); return err })
	return rev, err
}

func (k stepKV) Update(ctx context.Context, key string, value []byte, old uint64) (rev uint64, err error) {
	err = k.steps.around(func() error { rev, err = k.KV.Update(ctx, key, value, old); return err })
	return rev, err
}

// landing is an import that is covered, and a coordinator about to land it whose
// calls can be met.
type landing struct {
	*fleet
	id             string
	state, history queue.KV
	steps          *steps
	mine           *Service // makes steps
	other          *Service // does not
}

func newLanding(t *testing.T, q *queue.Queue) *landing {
	t.Helper()
	state, history := new(queue.MemoryKV), new(queue.MemoryKV)
	e := entrytest.Random(rand.New(rand.NewPCG(1, 2)), 1)[0]
	l := &landing{fleet: fleetOn(t, q, state, history, memstore.Of([]entry.Entry{e})), state: state, history: history, steps: &steps{}}
	l.mine, l.other = fleetOf(l.fleet, stepKV{state, l.steps}, stepKV{history, l.steps}).service(), l.service()
	l.mine.session = l.other.session // both take themselves for the import's driver
	t.Cleanup(l.mine.close)
	t.Cleanup(l.other.close)
	l.id = l.start(l.other, request("", ""))
	ranges, err := rangetest.Ranges([]entry.Entry{e}, small)
	must(t, err)
	w := rangewriter.New(t.Context(), l.files(), small, rangewriter.Options{})
	defer w.Close()
	must(t, w.Write(entry.Of(e)))
	must(t, w.Flush())
	must(t, q.PublishCover(t.Context(), l.id, "p", partition.Cover{Span: partition.Span{Upto: e.Key}, Range: &ranges[0]}))
	must(t, q.PublishCover(t.Context(), l.id, "p", partition.Cover{Span: partition.Span{After: e.Key}}))
	_, err = l.imports.Apply(t.Context(), l.id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(time.Now(), partition.Plan(l.id, nil))
	})
	must(t, err)
	return l
}

// fleetOf returns the same fleet, with its state seen through other buckets.
func fleetOf(f *fleet, state, history queue.KV) *fleet {
	other := &fleet{t: f.t, queue: f.queue, buckets: f.buckets, config: f.config}
	other.config.Imports = imports.NewStore(state)
	other.config.Catalog = catalog.New(history)
	return other
}

// driver returns a new driver of the import that has seen all covers.
func (l *landing) driver(s *Service) *driver {
	d := s.newDriver(l.id)
	if d == nil {
		l.t.Fatal("the import is not followed")
	}
	d.progress.await(l.t.Context(), 2)
	return d
}

// settle drives the import to its end as a coordinator does that starts now.
func (l *landing) settle() imports.Record {
	l.t.Helper()
	for range 10 {
		r, err := l.imports.Get(l.t.Context(), l.id)
		must(l.t, err)
		if r.State.Ended() {
			return r
		}
		_, err = l.driver(l.other).step(l.t.Context())
		must(l.t, err)
	}
	l.t.Fatal("the import does not end")
	return imports.Record{}
}

// verify wants the import on the branch once, or not at all if it was canceled,
// among so many commits of others.
func (l *landing) verify(name string, r imports.Record, others int) {
	l.t.Helper()
	log := l.log()
	mine := 0
	for _, c := range log {
		if c.Committer == "me" {
			mine++
		}
	}
	switch {
	case r.State == imports.Canceled && mine == 0 && len(log) == 1+others:
	case r.State == imports.Completed && mine == 1 && len(log) == 2+others:
		c, err := l.catalog.Commit(l.t.Context(), "repo", r.Attempt.CommitID)
		if err != nil || c.MetarangeID != r.Attempt.MetarangeID || r.Objects != 1 {
			l.t.Errorf("%s: attempt %+v, %d objects, commit %+v, %v", name, r.Attempt, r.Objects, c, err)
		}
	default:
		l.t.Errorf("%s: import is %s: %q, with %d of %d commits", name, r.State, r.Error, mine, len(log))
	}
}

// everyStep runs land once for every step of it, and calls test with the number
// of the step. It ends when land has fewer steps.
func everyStep(t *testing.T, test func(l *landing, n int)) {
	t.Helper()
	q := queuetest.Start(t)
	for n := 1; ; n++ {
		l := newLanding(t, q)
		test(l, n)
		if l.steps.n < n {
			if n < 10 {
				t.Errorf("landing has %d steps only", n)
			}
			return
		}
	}
}

func TestACrashAtAnyStepLeavesOneCommit(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			everyStep(t, func(l *landing, n int) {
				d := l.driver(l.mine)
				l.steps.n = 0
				kill := func(at int) error {
					if at >= n {
						return errKilled
					}
					return nil
				}
				if l.steps.before = kill; when == "after" {
					l.steps.before, l.steps.after = nil, kill
				}
				_, err := d.step(t.Context())
				if killed := l.steps.n >= n; killed != errors.Is(err, errKilled) {
					t.Fatalf("step %d of %d: %v", n, l.steps.n, err)
				}
				l.verify(fmt.Sprintf("killed at step %d", n), l.settle(), 0)
			})
		})
	}
}

// TestACommitAtAnyStepIsKept lets another commit land at every step.
func TestACommitAtAnyStepIsKept(t *testing.T) {
	t.Parallel()
	everyStep(t, func(l *landing, n int) {
		d := l.driver(l.mine)
		l.steps.n = 0
		others := 0
		l.steps.before = func(at int) error {
			if at == n {
				others++
				l.commit()
			}
			return nil
		}
		_, err := d.step(t.Context())
		must(t, err)
		l.verify(fmt.Sprintf("another commit at step %d", n), l.settle(), others)
	})
}

// TestTwoCoordinatorsCommitOnce lets another coordinator, which believes that it
// has the lease, drive the import at every step.
func TestTwoCoordinatorsCommitOnce(t *testing.T) {
	t.Parallel()
	for _, moved := range []bool{false, true} {
		t.Run(fmt.Sprintf("the head moves between %t", moved), func(t *testing.T) {
			everyStep(t, func(l *landing, n int) {
				d := l.driver(l.mine)
				l.steps.n = 0
				others := 0
				l.steps.before = func(at int) error {
					if at == n {
						if moved {
							others++
							l.commit()
						}
						_, err := l.driver(l.other).step(t.Context())
						must(t, err)
					}
					return nil
				}
				if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
					t.Fatalf("step %d: %v", n, err)
				}
				l.verify(fmt.Sprintf("another coordinator at step %d", n), l.settle(), others)
			})
		})
	}
}

// TestTwoCoordinatorsInterleaved runs two coordinators, and a third party that
// moves the head, in every order of their calls that chance finds.
func TestTwoCoordinatorsInterleaved(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	rng := seeded(t)
	for round := range 150 {
		l := newLanding(t, q)
		theirs := &steps{}
		second := fleetOf(l.fleet, stepKV{l.state, theirs}, stepKV{l.history, theirs}).service()
		drivers := []*driver{l.driver(l.mine), l.driver(second)}
		moves := rng.IntN(2)
		turns := &turns{rng: rng, live: len(drivers) + moves}
		l.steps.before, theirs.before = turns.of(0), turns.of(1)
		var running sync.WaitGroup
		for who, d := range drivers {
			running.Go(func() {
				defer turns.end()
				if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("round %d, coordinator %d: %v", round, who, err)
				}
			})
		}
		if moves > 0 {
			pauses := rng.IntN(15)
			running.Go(func() {
				defer turns.end()
				for n := range pauses + 1 {
					_ = turns.of(2)(n)
				}
				l.commit()
			})
		}
		running.Wait()
		second.close()
		l.verify(fmt.Sprintf("round %d", round), l.settle(), moves)
	}
}

// turns lets one of several goroutines take a step at a time, by chance.
type turns struct {
	mu      sync.Mutex
	rng     *rand.Rand
	live    int
	waiting map[int]chan struct{}
}

// of is the steps of one goroutine.
func (s *turns) of(who int) func(int) error {
	return func(int) error {
		turn := make(chan struct{})
		s.mu.Lock()
		if s.waiting == nil {
			s.waiting = make(map[int]chan struct{})
		}
		s.waiting[who] = turn
		s.next()
		s.mu.Unlock()
		<-turn
		return nil
	}
}

func (s *turns) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	s.next()
}

// next gives somebody the turn once everybody waits for it.
func (s *turns) next() {
	if s.live == 0 || len(s.waiting) < s.live {
		return
	}
	all := slices.Sorted(maps.Keys(s.waiting))
	who := all[s.rng.IntN(len(all))]
	close(s.waiting[who])
	delete(s.waiting, who)
}

// TestCancelAndCommitNeverBoth cancels at every step of a commit.
func TestCancelAndCommitNeverBoth(t *testing.T) {
	t.Parallel()
	canceled, completed := 0, 0
	everyStep(t, func(l *landing, n int) {
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
		r := l.settle()
		l.verify(fmt.Sprintf("canceled at step %d", n), r, 0)
		if r.State == imports.Canceled {
			canceled++
		} else {
			completed++
		}
	})
	if canceled == 0 || completed == 0 {
		t.Errorf("%d were canceled and %d completed: the steps lie on one side of the decision", canceled, completed)
	}
}

// TestCancelAndCommitRaced does the same with two goroutines, which meet at a
// random step of the commit and then run on.
func TestCancelAndCommitRaced(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	rng := seeded(t)
	canceled := 0
	const rounds = 220
	for round := range rounds {
		l := newLanding(t, q)
		d := l.driver(l.mine)
		met, both := 1+rng.IntN(16), make(chan struct{}, 2)
		l.steps.n = 0
		l.steps.before = meeting(met, both)
		theirs := &steps{before: meeting(2, both)} // about to decide
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
		r := l.settle()
		l.verify(fmt.Sprintf("round %d", round), r, 0)
		if (refused == nil) != (r.State == imports.Canceled) {
			t.Fatalf("round %d: cancel was answered %v and the import is %s", round, refused, r.State)
		}
		if refused == nil {
			canceled++
		}
	}
	if canceled < rounds/20 || canceled > rounds*19/20 {
		t.Errorf("%d of %d were canceled: there was no race", canceled, rounds)
	}
}

// meeting makes the n-th step wait for the other goroutine that meets.
func meeting(n int, both chan struct{}) func(int) error {
	return func(at int) error {
		if at != n {
			return nil
		}
		both <- struct{}{}
		deadline := time.After(limit)
		for len(both) < 2 {
			select {
			case <-deadline:
				return errors.New("the other goroutine did not come")
			default:
				runtime.Gosched()
			}
		}
		return nil
	}
}
