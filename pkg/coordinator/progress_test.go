package coordinator

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// Keys show as listed before the first range ends. While a store hangs, reports go on, and the
// status moves; once no worker is there, it stands still.
func TestProgressShowsBeforeTheFirstRange(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	open := newGate(source, "dir/000300", 3) // the first page is the plan's
	f := newFleet(t, source)
	f.config.Breaks = partition.Breaks{MaxSize: 1 << 30, Raggedness: 1 << 40} // one range
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	look := func(s *Service) Status { return statusOf(t, s, id) }
	f.planned(id)
	st := look(s)
	checkBusy(t, "before there is a worker", st.Progress, 1, 0, 0)
	if st.Progress.Listed != 0 {
		t.Errorf("%d keys are listed before there is a worker", st.Progress.Listed)
	}
	stopWork := f.work(1)
	expect.Eventually(t, "keys are listed", func() bool { return look(s).Progress.Listed > 300 })
	st = look(s)
	checkBusy(t, "while the first range is open", st.Progress, 0, 1, 1)
	if p := st.Progress; st.Objects != 0 || p.Listed > int64(len(entries)) || p.Elapsed <= 0 {
		t.Errorf("while the first range is open: %d objects, %+v", st.Objects, p)
	}
	expect.Eventually(t, "the status moves while the store hangs", func() bool { return look(s).Updated.After(st.Updated) })
	other, _ := f.serve() // a coordinator that does not drive the import
	expect.Eventually(t, "another coordinator shows it, too", func() bool { return look(other).Progress.Listed >= st.Progress.Listed })

	stopWork()
	if again := look(s); again.Progress.Listed < st.Progress.Listed {
		t.Errorf("%d keys were listed, and %d once the worker is gone", st.Progress.Listed, again.Progress.Listed)
	}
	f.work(2)
	open()
	if r := f.completed(id); r.Objects != int64(len(entries)) {
		t.Errorf("%d objects, want %d", r.Objects, len(entries))
	}
	st = look(s)
	if p := st.Progress; p.Listed != int64(len(entries)) || p.Elapsed != st.Updated.Sub(st.Record.Created) || p.PerSecond <= 0 || p.Workers != 0 {
		t.Errorf("in the end: %+v", p)
	}
}

func statusOf(t *testing.T, s *Service, id string) Status {
	t.Helper()
	st, err := s.Status(t.Context(), "repo", id)
	expect.NoError(t, err)
	return st
}

// checkBusy checks how many partitions wait, how many are listed, and by how many workers.
func checkBusy(t *testing.T, when string, p Progress, queued, running, workers int) {
	t.Helper()
	if p.Queued != queued || p.Running != running || p.Workers != workers {
		t.Errorf("%s: %+v, want %d partitions queued, and %d running on %d workers", when, p, queued, running, workers)
	}
}

// While a commit takes long, the status moves, and says how far the tree is.
func TestALongCommitMoves(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 100)
	f.config.Breaks = partition.Breaks{MaxSize: 1 << 30, Raggedness: 1 << 40} // one range
	files, opened := f.buckets["repo"], make(chan struct{})
	var puts atomic.Int64
	files.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op != "put" || puts.Add(1) == 1 { // the range
			return nil
		}
		select {
		case <-opened:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	stopWork := f.work(1)
	look := func() Status { return statusOf(t, s, id) }
	expect.Eventually(t, "the range is read for the tree", func() bool { return look().Progress.TreeRanges == 1 })
	stopWork()
	st := look()
	if p := st.Progress; p.EstimatedRanges < 1 || p.Listed != int64(len(entries)) || p.Estimate.Keys != p.Listed || p.Remaining != 0 || p.Queued+p.Running != 0 {
		t.Errorf("while the tree is made: %+v", p)
	}
	expect.Eventually(t, "the status moves", func() bool { return look().Updated.After(st.Updated.Add(2 * beatEvery)) })
	close(opened)
	f.completed(id)
}

// Nothing lists the keys of an import that nobody tends to, so its status stands still.
func TestAnAbandonedImportStandsStill(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s, stop := f.serve()
	id := f.start(s, request("", ""))
	f.planned(id)
	stop()
	s = f.service() // it does not run, so that nobody drives the import
	defer s.close()
	before, err := s.Status(t.Context(), "repo", id)
	expect.NoError(t, err)
	f.clock.Add(int64(time.Hour))
	after, err := s.Status(t.Context(), "repo", id)
	expect.NoError(t, err)
	if !after.Updated.Equal(before.Updated) || after.Progress.Elapsed < time.Hour {
		t.Errorf("updated %v after %v, and then %v after %v", before.Updated, before.Progress.Elapsed, after.Updated, after.Progress.Elapsed)
	}
}

func TestBeatsTellOfBusyDrivers(t *testing.T) {
	var all beats
	b := all.begin("a")
	all.begin("idle")
	if steps := all.steps(); len(steps) != 0 {
		t.Errorf("idle drivers tell %+v", steps)
	}
	b.busy.Store(true)
	b.tree(7)
	b.ranges.Add(2)
	if steps := all.steps(); len(steps) != 1 || steps[0].ImportID != "a" || !steps[0].Busy || steps[0].Ranges != 2 || steps[0].EstimatedRanges != 7 {
		t.Errorf("a busy driver tells %+v", steps)
	}
	all.end("a")
	if steps := all.steps(); len(steps) != 0 {
		t.Errorf("after the end: %+v", steps)
	}
}

// A delivery that follows one which got no further is counted as it begins, also of an import that this
// coordinator does not follow. Its status shows nothing of that.
func TestRepeatedDeliveriesAreCountedAsTheyBegin(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	f.planned(id)
	counted := func() float64 {
		return measured.Sum(t, s.cfg.Registerer.(*prometheus.Registry), "rangefleet_fleet_deliveries_repeated_total")
	}
	told := 0
	expect.Eventually(t, "reports are taken", func() bool { // those before the coordinator listens are lost
		told++
		expect.NoError(t, f.backend.Gossip.BroadcastReport(progress.Report{ImportID: "another", PartitionID: "p", Delivery: "d", State: progress.Again}))
		return counted() > 0
	})
	before := counted()
	report := progress.Report{ImportID: id, PartitionID: "p", Delivery: "d", State: progress.Again}
	for range 3 {
		expect.NoError(t, f.backend.Gossip.BroadcastReport(report))
	}
	expect.Eventually(t, "all are counted", func() bool { return counted() >= before+3 })
	if got := counted(); got > float64(told)+3 {
		t.Errorf("%v deliveries count, and %d were told of", got, told+3)
	}
	if status, err := s.Status(t.Context(), "repo", id); err != nil || status.Progress.Running != 0 {
		t.Errorf("%d partitions count as listed: %v", status.Progress.Running, err)
	}
}
