package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// newGate makes the pages of a store wait, from a key on and but for the first
// few of those, until open is called.
func newGate(s *memstore.Store, from string, few int64) (open func()) {
	opened := make(chan struct{})
	var passed atomic.Int64
	s.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op != "page" || c.Key < from || passed.Add(1) <= few {
			return nil
		}
		select {
		case <-opened:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return func() { close(opened) }
}

// planned waits until the import's partitions are queued.
func (f *fleet) planned(id string) []partition.Partition {
	f.t.Helper()
	var parts []partition.Partition
	eventually(f.t, "the import is planned", func() bool {
		r, err := f.imports.Get(f.t.Context(), id)
		must(f.t, err)
		parts, err = f.queue.Outstanding(f.t.Context(), id)
		must(f.t, err)
		return r.Partitions != nil && len(parts) == len(r.Partitions)
	})
	return parts
}

func TestStatusNeverFalls(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	open := newGate(source, "dir/000300", 3) // the first page is the plan's
	f := newFleet(t, source)
	f.config.Partitions = 1
	s, stop := f.serve()
	stopWork := f.work(1)
	id := f.start(s, request("", ""))
	var objects int64
	look := func(s *Service) Status {
		t.Helper()
		st, err := s.Status(t.Context(), "repo", id)
		must(t, err)
		if st.Objects < objects {
			t.Fatalf("the status fell from %d objects to %d, state %s", objects, st.Objects, st.Record.State)
		}
		objects = st.Objects
		return st
	}
	eventually(t, "something is covered", func() bool { return look(s).Objects > 300 })
	if st := look(s); st.Partitions != 1 || st.Ranges < 2 || st.Record.State != imports.Running || st.Commit != nil {
		t.Errorf("status of a running import: %+v", st)
	}
	stop() // a new coordinator has to follow all covers first
	stopWork()
	s, stop = f.serve()
	look(s)
	other := f.service() // one that does not drive the import
	look(other)
	other.close()
	stop()
	if _, err := f.service().Status(t.Context(), "elsewhere", id); !fault.Is(err, fault.NotFound) {
		t.Errorf("status under another repository: %v", err)
	}
	s, _ = f.serve()
	f.work(2)
	open()
	for !look(s).Record.State.Ended() {
		runtime.Gosched()
	}
	if st := look(s); st.Objects != int64(len(entries)) || st.Record.State != imports.Completed {
		t.Errorf("at the end: %+v", st)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	source, _ := numbered(2000)
	open := newGate(source, "dir/000300", 2) // the first page is the plan's
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	before := f.log()
	id := f.start(s, request("", ""))
	var st Status
	eventually(t, "something is covered", func() bool {
		var err error
		st, err = s.Status(t.Context(), "repo", id)
		must(t, err)
		return st.Objects > 0
	})
	if err := s.Cancel(t.Context(), "elsewhere", id); !fault.Is(err, fault.NotFound) {
		t.Errorf("cancel under another repository: %v", err)
	}
	if err := s.Cancel(t.Context(), "repo", "unknown"); !fault.Is(err, fault.NotFound) {
		t.Errorf("cancel of nothing: %v", err)
	}
	for range 2 { // again is harmless
		must(t, s.Cancel(t.Context(), "repo", id))
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
	eventually(t, "no import is followed after all have ended", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.progress) == 0
	})
}

// cleared waits until nothing of the import is in the streams.
func (f *fleet) cleared(id string) {
	f.t.Helper()
	eventually(f.t, "the import's messages are gone", func() bool {
		parts, err := f.queue.Outstanding(f.t.Context(), id)
		must(f.t, err)
		covers, err := f.queue.CoverCount(f.t.Context(), id)
		must(f.t, err)
		return len(parts) == 0 && covers == 0
	})
}

func TestAFailedImportLeavesTheBranch(t *testing.T) {
	t.Parallel()
	source, _ := numbered(2000)
	f := newFleet(t, source)
	s, _ := f.serve()
	before := f.log()
	denied := fmt.Errorf("AccessDenied: not yours: %w", objectstore.ErrRefused)
	for name, op := range map[string]string{"by the coordinator": "list", "by a worker": "put", "while merging": "get"} {
		f.buckets["bucket"].Hook, f.buckets["repo"].Hook = nil, nil
		hook := func(_ context.Context, c memstore.Call) error {
			if c.Op == op {
				return denied
			}
			return nil
		}
		if f.buckets["repo"].Hook = hook; op == "list" {
			f.buckets["bucket"].Hook, f.buckets["repo"].Hook = hook, nil
		}
		if op == "get" {
			must(t, nil)
			f.buckets["repo"].Hook = nil
			f.commit(entry.Entry{Key: "dir/000007", Address: "s3://old/x"})
			before = f.log()
			f.buckets["repo"].Hook = hook
		}
		stop := f.work(2)
		r := request("", "")
		r.Request.Message = name
		got := f.ended(f.start(s, r))
		if got.State != imports.Failed || !strings.Contains(got.Error, "AccessDenied: not yours") || len(f.log()) != len(before) {
			t.Errorf("%s: import is %s: %q, %d commits", name, got.State, got.Error, len(f.log())-len(before))
		}
		f.cleared(got.Job.ImportID)
		stop()
	}
}

func TestLostPartitionsAreQueuedAgain(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	f := newFleet(t, source)
	s, stop := f.serve()
	id := f.start(s, request("", ""))
	parts := f.planned(id)
	if len(parts) < 3 {
		t.Fatalf("partitions %v, want a few", parts)
	}
	for range 2 { // two are taken from the queue by somebody who does nothing
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		task, err := f.queue.Pull(ctx)
		cancel()
		must(t, err)
		must(t, task.Ack(t.Context()))
	}
	stop()
	f.serve()
	f.work(2)
	f.completed(id)
	if got := f.log()[0].MetarangeID; got != metarangeOf(t, entries, small) {
		t.Errorf("metarange %s is not that of one reader", got)
	}
}

func TestAnUnfinishedImportIsPickedUp(t *testing.T) {
	t.Parallel()
	source, entries := numbered(2000)
	f := newFleet(t, source)
	want := metarangeOf(t, entries, small)
	for _, crash := range []string{"before the plan", "after the plan", "before the partitions"} {
		r := request("", "")
		r.Request.Message = crash
		s := f.service()
		id := f.start(s, r)
		s.close()
		switch crash {
		case "after the plan":
			_, stop := f.serve()
			f.planned(id)
			stop()
		case "before the partitions":
			_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
				return r.Plan(time.Now(), partition.Plan(id, []string{"dir/001"}))
			})
			must(t, err)
		}
		_, stop := f.serve()
		stopWork := f.work(2)
		f.completed(id)
		stopWork()
		stop()
		if got := f.log()[0]; got.MetarangeID != want || got.Message != crash {
			t.Errorf("%s: commit %+v, want metarange %s", crash, got, want)
		}
	}
}

func TestTwoServicesOnOneQueue(t *testing.T) {
	t.Parallel()
	source, entries := numbered(1500)
	f := newFleet(t, source)
	a, _ := f.serve()
	b, _ := f.serve()
	f.work(3)
	var ids []string
	for i := range 6 {
		r := request("", fmt.Sprintf("d%d", i))
		id := f.start([]*Service{a, b}[i%2], r)
		if again := f.start([]*Service{b, a}[i%2], r); again != id {
			t.Errorf("the other service answered %s for %s", again, id)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		r := f.completed(id)
		if r.Objects != int64(len(entries)) {
			t.Errorf("%s: %d objects", id, r.Objects)
		}
		for _, s := range []*Service{a, b} {
			if st, err := s.Status(t.Context(), "repo", id); err != nil || st.Commit == nil || st.Objects != r.Objects {
				t.Errorf("status %+v, %v", st, err)
			}
		}
	}
	if n := len(f.log()); n != 7 { // each import landed once, on whatever the others made
		t.Errorf("%d commits, want 7", n)
	}
	if n := len(f.keys()); n != 6*len(entries) {
		t.Errorf("%d keys are on the branch, want %d", n, 6*len(entries))
	}
}

func TestEndedImportsAreForgottenAfterADay(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	f.serve()
	s, _ := f.serve()
	f.work(1)
	old := f.do(s, request("", "old"))
	id := old.Job.ImportID
	must(t, f.queue.PublishCover(t.Context(), id, "p", partition.Cover{}))
	f.clock.Store(int64(keepEnded - time.Minute))
	young := f.do(s, request("", "young"))
	if r, err := f.imports.Get(t.Context(), id); err != nil {
		t.Errorf("forgotten early: %+v, %v", r, err)
	}
	f.clock.Store(int64(keepEnded + time.Minute))
	eventually(t, "the import is forgotten", func() bool {
		_, err := f.imports.Get(t.Context(), id)
		return fault.Is(err, fault.NotFound)
	})
	f.cleared(id)
	if _, err := f.imports.Get(t.Context(), young.Job.ImportID); err != nil {
		t.Errorf("the other import: %v", err)
	}
	eventually(t, "its memory is freed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		_, known := s.ended[id]
		return !known
	})
	f.cleared(young.Job.ImportID) // which is not waited for when an import ends
	// Nothing of it is left in any bucket or stream, no mark of a deleted key either.
	keys, err := f.queue.KV(queue.BucketImports).Keys(t.Context(), "")
	must(t, err)
	if len(keys) != 2 || keys[0] != "i."+young.Job.ImportID || !strings.HasPrefix(keys[1], "r.") {
		t.Errorf("the bucket of imports holds %q, want the record and the request of %s", keys, young.Job.ImportID)
	}
	seen, err := f.queue.Survey(t.Context())
	must(t, err)
	if len(seen.Partitions)+len(seen.Covers) > 0 {
		t.Errorf("the streams hold %v and %v", seen.Partitions, seen.Covers)
	}
	leases, err := f.queue.Leases(t.Context(), "")
	must(t, err)
	if len(leases) != 2 {
		t.Errorf("leases %q, want those of two coordinators", leases)
	}
	if again := f.start(s, request("", "old")); again == id {
		t.Error("the request's key outlived its import")
	}
}

// TestASourceThatChangesBetweenListings removes and adds objects after one part
// was listed and before its neighbour is.
func TestASourceThatChangesBetweenListings(t *testing.T) {
	t.Parallel()
	source, entries := numbered(2500)
	f := newFleet(t, source)
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	f.planned(id)
	var puts atomic.Int64
	f.buckets["repo"].Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "put" && puts.Add(1) == 10 {
			for i, e := range entries {
				if i%3 == 0 {
					source.Remove(e.Key)
				} else if i%7 == 0 {
					source.Add(e.Key + "+")
				}
			}
		}
		return nil
	}
	f.work(2)
	r := f.completed(id)
	keys := f.keys()
	if !slices.IsSorted(keys) || int64(len(keys)) != r.Objects || len(slices.Compact(slices.Clone(keys))) != len(keys) {
		t.Errorf("%d keys for %d objects", len(keys), r.Objects)
	}
	for i, e := range entries { // what was there all the time is there
		if _, ok := slices.BinarySearch(keys, e.Key); i%3 != 0 && !ok {
			t.Fatalf("%q is lost", e.Key)
		}
	}
}

func TestCoversThatNeverChainFailTheImport(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	s := f.service()
	t.Cleanup(s.close)
	id := f.start(s, request("", ""))
	must(t, f.queue.PublishCover(t.Context(), id, "p", partition.Cover{Span: partition.Span{Upto: "dir/k"}}))
	must(t, f.queue.PublishCover(t.Context(), id, "p", partition.Cover{Span: partition.Span{After: "dir/m"}}))
	_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(time.Now(), partition.Plan(id, nil))
	})
	must(t, err)
	d := s.newDriver(id)
	d.progress.await(t.Context(), 2)
	gap := partition.New(id, partition.Span{After: "dir/k", Upto: "dir/m"}, true, true)
	for n := 1; ; n++ {
		must(t, s.takeSurvey(t.Context()))
		if ended, err := d.step(t.Context()); err != nil || ended {
			t.Fatalf("step %d: %t, %v", n, ended, err)
		}
		r, err := f.imports.Get(t.Context(), id)
		must(t, err)
		if r.State == imports.Failed {
			if n != maxListings+1 || !strings.Contains(r.Error, `("dir/k", "dir/m"]`) {
				t.Errorf("after %d steps: %q", n, r.Error)
			}
			return
		}
		if n > maxListings {
			t.Fatalf("the gap was queued %d times", n)
		}
		for range 2 { // while it is queued, or somebody works on it, it is no gap
			must(t, s.takeSurvey(t.Context()))
			must(t, d.advance(t.Context(), r))
		}
		parts, err := f.queue.Outstanding(t.Context(), id)
		if err != nil || !slices.Equal(parts, []partition.Partition{gap}) {
			t.Fatalf("queued %v, %v, want the gap %v", parts, err, gap)
		}
		task, err := f.queue.Pull(t.Context())
		must(t, err)
		must(t, task.Ack(t.Context())) // by somebody who found nothing that joins
	}
}

func TestErrorsThatPassDoNotFailTheImport(t *testing.T) {
	t.Parallel()
	source, entries := numbered(100)
	var calls atomic.Int64
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "list" && calls.Add(1) == 1 {
			return errors.New("SlowDown")
		}
		return nil
	}
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	if r := f.do(s, request("", "")); r.Objects != int64(len(entries)) {
		t.Errorf("%d objects", r.Objects)
	}
}

// TestEndIsLoggedOnceAndPlain wants no error in what is told of an import that
// went well.
func TestEndIsLoggedOnceAndPlain(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	var text buffer
	f.config.Log = slog.New(slog.NewTextHandler(&text, nil))
	s, stop := f.serve()
	f.work(1)
	f.do(s, request("", ""))
	ends := func() (lines []string) {
		for line := range strings.Lines(text.String()) {
			if strings.Contains(line, "import ended") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	eventually(t, "the end is logged", func() bool { return len(ends()) > 0 })
	stop()
	if got := ends(); len(got) != 1 || !strings.Contains(got[0], "state=completed objects=10") || strings.Contains(got[0], "err=") {
		t.Errorf("logged %q", got)
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestARecordThatCannotBeReadStopsNoOther puts garbage among the records.
func TestARecordThatCannotBeReadStopsNoOther(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	_, err := f.queue.KV("imports").Put(t.Context(), "i.0", []byte("{"))
	must(t, err)
	s, _ := f.serve()
	f.work(1)
	f.do(s, request("", ""))
}

func TestStartAndStopUnderLoad(t *testing.T) {
	t.Parallel()
	source, entries := numbered(600)
	f := newFleet(t, source)
	stopWork := f.work(1)
	ids := map[string]bool{}
	var mu sync.Mutex
	for round := range 12 {
		s, stop := f.serve()
		var users sync.WaitGroup
		for user := range 6 {
			users.Go(func() { // requests of all kinds go on while the service stops
				id, err := s.Start(t.Context(), request("", fmt.Sprintf("d%d", (round+user)%4)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids[id] = true
				mu.Unlock()
				if _, err := s.Status(t.Context(), "repo", id); err != nil && !errors.Is(err, errStopped) {
					t.Error(err)
				}
				if user == 0 {
					if err := s.Cancel(t.Context(), "repo", id); err != nil && !errors.Is(err, errStopped) && !fault.Is(err, fault.Conflict) {
						t.Error(err)
					}
				}
				if user%2 == 0 {
					stop()
				}
			})
		}
		users.Wait()
		stop()
	}
	stopWork()
	_, stop := f.serve()
	stopWork = f.work(2)
	completed := 0
	for id := range maps.Keys(ids) {
		switch r := f.ended(id); r.State {
		case imports.Completed:
			if completed++; r.Objects != int64(len(entries)) {
				t.Errorf("%s: %d objects", id, r.Objects)
			}
		case imports.Canceled:
		default:
			t.Errorf("%s is %s: %q", id, r.State, r.Error)
		}
	}
	if n := len(f.log()); n != completed+1 {
		t.Errorf("%d commits of %d imports that completed", n-1, completed)
	}
	stop()
	stopWork()
}

func TestNothingIsFollowedAfterItsEnd(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	id := f.start(s, request("", ""))
	if s.follow(id) == nil {
		t.Fatal("an import that runs is not followed")
	}
	must(t, s.Cancel(t.Context(), "repo", id))
	if s.follow(id) != nil {
		t.Error("an import that was canceled is followed")
	}
	s.close()
	if s.follow("another") != nil {
		t.Error("a service that has stopped follows")
	}
	second := f.service() // it has heard of nothing
	second.close()
	running := f.start(s, request("", "elsewhere"))
	if _, err := second.Status(t.Context(), "repo", running); !errors.Is(err, errStopped) {
		t.Errorf("status of a service that has stopped: %v", err)
	}
}

// What is left of an import that has ended, because its coordinator died before it
// could clear up or because somebody was late, is discarded by any coordinator.
func TestWhatIsLeftOfAnEndedImportIsDiscarded(t *testing.T) {
	f := newFleet(t, memstore.Of(nil))
	record := imports.New(imports.Job{ImportID: "ended", Namespace: "s3://repo/ns"}, request("", "").Request, time.Now().UTC())
	record.State = imports.Failed
	must(t, f.imports.Create(t.Context(), record))
	f.serve()
	span := partition.Span{Upto: "x"}
	for range 2 { // before the coordinator knows that it has ended, and after
		must(t, f.queue.Publish(t.Context(), partition.New("ended", span, true, true)))
		must(t, f.queue.PublishCover(t.Context(), "ended", "p", partition.Cover{Span: span}))
		f.cleared("ended")
	}
}
