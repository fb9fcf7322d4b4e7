package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestAFailedImportLeavesTheBranch(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 2000)
	var said transcript.Buffer
	f.config.Log = slog.New(slog.NewTextHandler(&said, nil))
	s, _ := f.serve()
	before := f.log()
	denied := fmt.Errorf("AccessDenied: not yours: %w", objectstore.ErrRefused)
	for name, op := range map[string]string{"in the coordinator": "list", "in a worker": "put", "while merging": "get"} {
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
			f.buckets["repo"].Hook = nil
			f.commit(entry.Entry{Key: "dir/000007", Address: "s3://old/x"})
			before = f.log()
			f.buckets["repo"].Hook = hook
		}
		stop, stopOther := f.work(2), f.work(2) // a refusal counts once two workers agree
		r := request("", "")
		r.Request.Message = name
		got := f.ended(f.start(s, r))
		if got.State != imports.Failed || !strings.Contains(got.Error, "AccessDenied: not yours") || len(f.log()) != len(before) {
			t.Errorf("%s: import is %s: %q, %d commits", name, got.State, got.Error, len(f.log())-len(before))
		}
		f.cleared(got.Job.ImportID)
		stop()
		stopOther()
		expect.Eventually(t, "the import's failure is logged as an error, with its cause", func() bool {
			return logged(said.String(), "level=ERROR", got.Job.ImportID, "AccessDenied: not yours")
		})
	}
}

// logged reports whether one line of a log holds all the texts.
func logged(log string, texts ...string) bool {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			return true
		}
	}
	return false
}

// A peer may delete the record of an import before this coordinator sees the import end,
// for instance after a day without NATS.
func TestAnImportWithoutRecordIsUnfollowed(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s := f.service()
	t.Cleanup(s.close)
	id := f.start(s, request("", ""))
	_, err := s.Status(t.Context(), "repo", id)
	expect.NoError(t, err)
	p := s.follow(id, root)
	record, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) { return r.Cancel(time.Now(), 0) })
	expect.NoError(t, err)
	expect.NoError(t, f.imports.Delete(t.Context(), record))
	expect.NoError(t, s.supervisor.scan(t.Context()))
	if p.Await(t.Context(), math.MaxUint64) {
		t.Error("its covers are still followed")
	}
	if len(s.followers.IDs()) > 0 {
		t.Error("its memory is not freed")
	}
}

// The clock of the process that ended an import may be days behind the clock of this one.
func TestAnImportIsNotForgottenAsSoonAsItHasEnded(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s := f.service()
	t.Cleanup(s.close)
	id := f.start(s, request("", ""))
	_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
		return r.Cancel(time.Now().Add(-2*keepEnded), 0)
	})
	expect.NoError(t, err)
	for range 2 {
		expect.NoError(t, s.supervisor.scan(t.Context()))
		_ = f.record(id)
	}
	f.clock.Store(int64(keepSeen))
	expect.NoError(t, s.supervisor.scan(t.Context()))
	if r, err := f.imports.Get(t.Context(), id); !fault.Is(err, fault.NotFound) {
		t.Errorf("after %s: %+v, %v, want it forgotten", keepSeen, r, err)
	}
}

func TestTheFirstEndOfAnImportCounts(t *testing.T) {
	c := newSupervisorTest(t).cleanup
	retire := func(id string, state imports.State) {
		t.Helper()
		r := imports.Record{Job: imports.Job{ImportID: id}, State: state, Updated: time.Now()}
		expect.NoError(t, c.retire(t.Context(), r))
	}
	retire("a", imports.Failed)
	retire("b", imports.Failed)
	retire("a", imports.Completed)
	if n, _ := c.counts(); n[imports.Failed] != 2 || len(n) != 1 {
		t.Errorf("the counts are %v, want two that failed", n)
	}
	if c.keep([]string{"b", "c"}); c.hasEnded("a") || !c.hasEnded("b") || c.hasEnded("c") {
		t.Errorf("after only b and c are kept, the ends are %v", c.ended)
	}
	now := time.Now()
	if !(end{at: now, seen: now.Add(-keepSeen)}).lately(now) || !(end{at: now.Add(-keepEnded), seen: now}).lately(now) ||
		(end{at: now.Add(-keepEnded), seen: now.Add(-keepSeen)}).lately(now) {
		t.Error("an end of a day ago is lately, or one that was just recorded or seen is not")
	}
}

func TestEndedImportsAreForgottenAfterADay(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	f.serve()
	s, _ := f.serve()
	f.work(1)
	old := f.do(s, request("", "old"))
	id := old.Job.ImportID
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "p", partition.Cover{}))
	f.clock.Store(int64(keepEnded - time.Minute))
	young := f.do(s, request("", "young"))
	if r, err := f.imports.Get(t.Context(), id); err != nil {
		t.Errorf("forgotten early: %+v, %v", r, err)
	}
	f.clock.Store(int64(keepEnded + keepSeen)) // the driver may have seen the end after the clock was put forward
	expect.Eventually(t, "the import is forgotten", func() bool {
		_, err := f.imports.Get(t.Context(), id)
		return fault.Is(err, fault.NotFound)
	})
	f.cleared(id)
	if _, err := f.imports.Get(t.Context(), young.Job.ImportID); err != nil {
		t.Errorf("the other import: %v", err)
	}
	expect.Eventually(t, "its memory is freed", func() bool { return !s.cleanup.hasEnded(id) })
	f.cleared(young.Job.ImportID) // an import ends before its messages are gone
	// No bucket or stream holds anything of it, not even the marker of a deleted key.
	keys, err := f.backend.Bucket(kv.BucketImports).Keys(t.Context(), "")
	expect.NoError(t, err)
	if len(keys) != 2 || keys[0] != "i."+young.Job.ImportID || !strings.HasPrefix(keys[1], "r.") {
		t.Errorf("the bucket of imports holds %q, want the record and the request of %s", keys, young.Job.ImportID)
	}
	seen, err := f.backend.Survey(t.Context())
	expect.NoError(t, err)
	if len(seen.Partitions)+len(seen.Covers) > 0 {
		t.Errorf("the streams hold %v and %v", seen.Partitions, seen.Covers)
	}
	leases, err := f.backend.Leases.Held(t.Context(), "")
	expect.NoError(t, err)
	if len(leases) != 2 {
		t.Errorf("leases %q, want those of two coordinators", leases)
	}
	if again := f.start(s, request("", "old")); again == id {
		t.Error("the request's key outlived its import")
	}
}

// TestTheEndIsLoggedOnce also checks that no error is logged for an import that completed.
func TestTheEndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	var text transcript.Buffer
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
	expect.Eventually(t, "the end is logged", func() bool { return len(ends()) > 0 })
	stop()
	if got := ends(); len(got) != 1 || !strings.Contains(got[0], "state=completed objects=10") || strings.Contains(got[0], "err=") {
		t.Errorf("logged %q", got)
	}
}

// Any coordinator discards messages of an import that has ended: its driver may have died
// before it discarded them, or they were stored late.
func TestMessagesOfEndedImportsAreDiscarded(t *testing.T) {
	f := newFleet(t, memstore.Of(nil))
	record := imports.New(imports.Job{ImportID: "ended", Namespace: "s3://repo/ns"}, request("", "").Request, time.Now().UTC())
	record.State, record.Trace = imports.Failed, root
	expect.NoError(t, f.imports.Create(t.Context(), record))
	f.serve()
	span := partition.Span{Upto: "x"}
	for range 2 { // before the coordinator knows that it has ended, and after
		expect.NoError(t, f.backend.Queue.Publish(t.Context(), queue.Bulk, partition.New("ended", span, true, true)))
		expect.NoError(t, f.backend.Covers.Publish(t.Context(), "ended", "p", partition.Cover{Span: span}))
		f.cleared("ended")
	}
}

// lateKV is a bucket that lists no keys, as a server does that has not received them yet.
type lateKV struct{ kv.Bucket }

func (lateKV) Keys(context.Context, string) ([]string, error) { return nil, nil }

func TestMessagesOfRunningImportsAreKept(t *testing.T) {
	q := queuetest.Start(t)
	state, ctx := new(kvtest.Memory), t.Context()
	f := fleetOn(t, q, lateKV{state}, new(kvtest.Memory), memstore.Of(nil))
	record := imports.New(imports.Job{ImportID: "young", Namespace: "s3://repo/ns"}, request("", "").Request, time.Now().UTC())
	expect.NoError(t, f.imports.Create(ctx, record))
	expect.NoError(t, q.Covers.Publish(ctx, "young", "p", partition.Cover{Span: partition.Span{Upto: "x"}}))
	s := f.service()
	expect.NoError(t, s.watch.survey(ctx))
	expect.NoError(t, s.supervisor.scan(ctx))
	if n, err := q.Covers.Count(ctx, "young"); n != 1 || err != nil {
		t.Errorf("%d covers are left of an import that is not listed: %v", n, err)
	}
}

// The messages of an ended import that a survey saw are discarded once. A message that is
// stored later stays until the next survey sees it.
func TestASurveyIsSweptOnce(t *testing.T) {
	f := newFleet(t, memstore.Of(nil))
	f.config.Log = slog.New(slog.DiscardHandler) // without a record, the trace is not known
	s := f.service()
	ctx := t.Context()
	late := func() {
		t.Helper()
		expect.NoError(t, f.backend.Covers.Publish(ctx, "gone", "p", partition.Cover{Span: partition.Span{Upto: "x"}}))
	}
	left := func() uint64 {
		t.Helper()
		n, err := f.backend.Covers.Count(ctx, "gone")
		expect.NoError(t, err)
		return n
	}
	late()
	expect.NoError(t, s.watch.survey(ctx))
	expect.NoError(t, s.supervisor.scan(ctx))
	if n := left(); n != 0 {
		t.Fatalf("%d covers are left that the survey saw", n)
	}
	late()
	expect.NoError(t, s.supervisor.scan(ctx))
	if left() != 1 {
		t.Error("a scan has discarded a message that no survey saw")
	}
	expect.NoError(t, s.watch.survey(ctx))
	expect.NoError(t, s.supervisor.scan(ctx))
	if n := left(); n != 0 {
		t.Errorf("%d covers are left that the second survey saw", n)
	}
	expect.NoError(t, f.backend.Covers.NoteTries(ctx, "gone", "p", covers.Tries{Count: 1}))
	expect.NoError(t, s.watch.survey(ctx))
	expect.NoError(t, s.supervisor.scan(ctx))
	if _, found, err := f.backend.Covers.Tries(ctx, "gone", "p"); found || err != nil {
		t.Errorf("a late note of tries is left: %t, %v", found, err)
	}
}
