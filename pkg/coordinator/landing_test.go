package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

var errKilled = errors.New("killed")

// steps numbers the calls to the buckets that it wraps, and can run functions before and
// after each of them.
type steps struct {
	mu     sync.Mutex
	n      int
	before func(n int) error // its error is returned in place of the call
	after  func(n int) error // its error is returned in place of the answer
}

// around makes a call.
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
	kv.Bucket
	steps *steps
}

func (k stepKV) Get(ctx context.Context, key string) (value []byte, rev uint64, err error) {
	err = k.steps.around(func() error { value, rev, err = k.Bucket.Get(ctx, key); return err })
	return value, rev, err
}

func (k stepKV) GetLinearized(ctx context.Context, key string) (value []byte, rev uint64, err error) {
	err = k.steps.around(func() error { value, rev, err = k.Bucket.GetLinearized(ctx, key); return err })
	return value, rev, err
}

func (k stepKV) Create(ctx context.Context, key string, value []byte) (rev uint64, err error) {
	err = k.steps.around(func() error { rev, err = k.Bucket.Create(ctx, key, value); return err })
	return rev, err
}

func (k stepKV) Update(ctx context.Context, key string, value []byte, old uint64) (rev uint64, err error) {
	err = k.steps.around(func() error { rev, err = k.Bucket.Update(ctx, key, value, old); return err })
	return rev, err
}

// coveredImport is an import whose keys are all covered, and a coordinator that is about to
// land it.
type coveredImport struct {
	fleet          *fleet
	id             string
	state, history kv.Bucket
	moves          *moves // of history
	steps          *steps
	mine           *Service // its calls to the buckets are steps
	other          *Service // its calls are not
}

func newLanding(t *testing.T, q *backend.Backend) *coveredImport {
	t.Helper()
	state, history := new(kvtest.Memory), &moves{Bucket: new(kvtest.Memory)}
	e := entrytest.Random(rand.New(rand.NewPCG(1, 2)), 1)[0]
	l := &coveredImport{fleet: fleetOn(t, q, state, history, memstore.Of([]entry.Entry{e})), state: state, history: history, moves: history, steps: &steps{}}
	l.mine, l.other = fleetOf(l.fleet, stepKV{state, l.steps}, stepKV{history, l.steps}).service(), l.fleet.service()
	l.mine.session = l.other.session // both believe that they drive the import
	setPatience(0, l.mine, l.other)  // a coordinator may be stopped in the middle of a step
	t.Cleanup(l.mine.close)
	t.Cleanup(l.other.close)
	l.id = l.fleet.start(l.other, request("", ""))
	ranges, err := rangetest.Ranges([]entry.Entry{e}, small)
	expect.NoError(t, err)
	w := rangewriter.New(t.Context(), l.fleet.files(), small, rangewriter.Options{})
	defer w.Close()
	expect.NoError(t, w.Write(entrytest.Batch(e)))
	expect.NoError(t, w.Flush())
	expect.NoError(t, q.Covers.Publish(t.Context(), l.id, "p", partition.Cover{Span: partition.Span{Upto: e.Key}, Range: &ranges[0]}))
	expect.NoError(t, q.Covers.Publish(t.Context(), l.id, "p", partition.Cover{Span: partition.Span{After: e.Key}}))
	plan(l.fleet, l.id, objectstore.Parallel, []partition.Partition{partition.Whole(l.id)})
	return l
}

// setPatience sets how long services wait for a branch that another one has claimed.
func setPatience(patience time.Duration, services ...*Service) {
	for _, s := range services {
		s.branches = branchqueue.New(branchqueue.Config{
			Leases: s.cfg.Backend.Leases, Holder: s.cfg.Holder, Alone: s.peers.Alone, Patience: patience, Now: s.cfg.Now, Log: s.cfg.Log,
		})
	}
}

// fleetOf returns the same fleet, with its state seen through other buckets.
func fleetOf(f *fleet, state, history kv.Bucket) *fleet {
	other := &fleet{t: f.t, backend: f.backend, buckets: f.buckets, config: f.config}
	other.config.Imports = imports.NewStore(state)
	other.config.Catalog = catalog.New(history)
	return other
}

// driver returns a new driver of the import, to which all covers have come.
func (l *coveredImport) driver(s *Service) *driver {
	d := s.newDriver(l.id, root)
	if d == nil {
		l.fleet.t.Fatal("the import is not followed")
	}
	d.progress.Await(l.fleet.t.Context(), 2)
	return d
}

// driveToEnd drives the import to its end by drivers that start now.
func (l *coveredImport) driveToEnd() imports.Record {
	l.fleet.t.Helper()
	for range 10 {
		r := l.fleet.record(l.id)
		if r.State.Ended() {
			return r
		}
		_, err := l.driver(l.other).step(l.fleet.t.Context())
		expect.NoError(l.fleet.t, err)
	}
	l.fleet.t.Fatal("the import does not end")
	return imports.Record{}
}

// verify checks that the import is on the branch once, or not at all if it was canceled,
// beside so many other commits.
func (l *coveredImport) verify(name string, r imports.Record, others int) {
	l.fleet.t.Helper()
	log := l.fleet.log()
	mine := 0
	for _, c := range log {
		if c.Committer == "me" {
			mine++
		}
	}
	switch {
	case r.State == imports.Canceled && mine == 0 && len(log) == 1+others:
	case r.State == imports.Completed && mine == 1 && len(log) == 2+others:
		c, err := l.fleet.catalog.Commit(l.fleet.t.Context(), "repo", r.Attempt.CommitID)
		if err != nil || c.MetarangeID != r.Attempt.MetarangeID || r.Objects != 1 {
			l.fleet.t.Errorf("%s: attempt %+v, %d objects, commit %+v, %v", name, r.Attempt, r.Objects, c, err)
		}
	default:
		l.fleet.t.Errorf("%s: import is %s: %q, with %d of %d commits", name, r.State, r.Error, mine, len(log))
	}
}

// everyStep calls test with a new landing for each number of a step, from 1 on, until
// landing has fewer steps.
func everyStep(t *testing.T, test func(l *coveredImport, n int)) {
	t.Helper()
	q := queuetest.Start(t)
	for n := 1; ; n++ {
		l := newLanding(t, q)
		test(l, n)
		if l.steps.n < n {
			if n < 10 {
				t.Errorf("landing has only %d steps", n)
			}
			return
		}
	}
}

// oldLeader is a bucket that, after a branch was moved through it, answers the next reads
// of branches with an old value.
type oldLeader struct {
	kv.Bucket
	value []byte
	rev   uint64
	left  int
	moved bool
}

func (k *oldLeader) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if strings.HasPrefix(key, "b.") && k.moved && k.left > 0 {
		k.left--
		return k.value, k.rev, nil
	}
	return k.Bucket.Get(ctx, key)
}

func (k *oldLeader) Update(ctx context.Context, key string, value []byte, old uint64) (uint64, error) {
	rev, err := k.Bucket.Update(ctx, key, value, old)
	k.moved = k.moved || strings.HasPrefix(key, "b.") && err == nil
	return rev, err
}

// TestAStaleHeadDoesNotMakeAnAttemptDead lands an import on another commit, and then
// reads the branch as it was before both.
func TestAStaleHeadDoesNotMakeAnAttemptDead(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	for times := range 5 {
		l := newLanding(t, q)
		branches, err := l.history.Keys(t.Context(), "b.")
		expect.NoError(t, err)
		value, rev, err := l.history.Get(t.Context(), branches[0])
		expect.NoError(t, err)
		l.fleet.commit()
		s := fleetOf(l.fleet, l.state, &oldLeader{Bucket: l.history, value: value, rev: rev, left: times}).service()
		s.session = l.other.session
		setPatience(0, s)
		t.Cleanup(s.close)
		_, err = l.driver(s).step(t.Context())
		expect.NoError(t, err)
		l.verify(fmt.Sprintf("%d stale reads", times), l.driveToEnd(), 1)
	}
}

// TestLostCoversFailAnImportThatHasToBeCommittedAgain loses the covers after the driver
// that recorded an attempt has ended and the attempt is dead.
func TestLostCoversFailAnImportThatHasToBeCommittedAgain(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	l.recordAttempt(l.driver(l.other))
	l.fleet.commit() // another commit is faster
	expect.NoError(t, l.fleet.backend.Discard(t.Context(), l.id))
	d := l.mine.newDriver(l.id, root)
	for range maxFailures {
		if ended, err := d.step(t.Context()); ended || err == nil {
			t.Fatalf("step: %t, %v, want an error about what is missing", ended, err)
		}
		d.failures++
	}
	_, err := d.step(t.Context())
	expect.NoError(t, err)
	if r := l.driveToEnd(); r.State != imports.Failed || !strings.Contains(r.Error, "covers") {
		t.Errorf("import is %s: %q", r.State, r.Error)
	}
}
