package worker_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// besideIdleWorkers has one worker list an import while three others wait, and returns
// the covers and how many deliveries came to their end. hook is called with each call to
// the bucket, which is listed in the mode.
func besideIdleWorkers(t *testing.T, mode objectstore.Mode, hook func(memstore.Call)) (f *fleet, covers []partition.Cover, done float64) {
	t.Helper()
	source, want := numbered(t, 4000, small)
	source.PageSize = page
	f = start(t, source)
	f.listing.Mode = mode
	starved := f.heard(func(l queue.LaneLoad) bool { return l.Starved() && l.Waiting == 3 })
	source.Hook = func(_ context.Context, c memstore.Call) error {
		hook(c)
		if c.Op == "page" && c.Key > "dir/000200" { // much is listed, and more is left
			expect.Received(t, "all hear that workers wait", starved)
		}
		return nil
	}
	f.record("id", small)
	f.publish(whole("id"))
	var workers []*prometheus.Registry
	for range 4 {
		f.run(1)
		workers = append(workers, f.metrics)
	}
	covers = f.covered("id", want)
	f.idle("id")
	for _, f.metrics = range workers {
		done += f.outcome("done")
	}
	return f, covers, done
}

func TestPiecesAreHandedToIdleWorkers(t *testing.T) {
	f, covers, done := besideIdleWorkers(t, objectstore.Parallel, func(memstore.Call) {})
	if !slices.ContainsFunc(covers, func(c partition.Cover) bool { return c.Cut != "" }) {
		t.Error("no cover names the cut")
	}
	first := whole("id")
	noted, _, err := f.backend.Covers.Tries(t.Context(), "id", first.ID)
	expect.NoError(t, err)
	last, _, err := f.backend.Covers.Last(t.Context(), "id", first.ID)
	expect.NoError(t, err)
	if noted.Cut == "" || noted.Cut != last.Cut {
		t.Errorf("the cut %q is noted, the last cover names %q", noted.Cut, last.Cut)
	}
	if done < 4 {
		t.Errorf("%v deliveries: the partition was not split for all that waited", done)
	}
}

// TestOwnSlotsDoNotWait has a worker list one partition with all the calls that it may
// have in flight: nothing is cut for its other slots until it has calls to spare.
func TestOwnSlotsDoNotWait(t *testing.T) {
	f, busy := busyWorker(t)
	starved := f.heard(queue.LaneLoad.Starved)
	busy.Store(false)
	expect.Received(t, "that a slot waits", starved)
}

func TestOwnSlotsTakeOtherImports(t *testing.T) {
	f, _ := busyWorker(t)
	f.buckets["other"], _ = numbered(t, 300, small)
	f.recordOf("second", "other", small)
	f.publish(whole("second"))
	f.covers("second")
}

// busyWorker starts a worker of four slots, one of which has a partition whose store does
// not answer. Its LIST calls are all in flight as long as busy is true.
func busyWorker(t *testing.T) (f *fleet, busy *atomic.Bool) {
	source, _ := numbered(t, 1000, small)
	source.PageSize = page
	waiting, _ := blocked(source, "dir/000500")
	f, busy = start(t, source), new(atomic.Bool)
	busy.Store(true)
	f.busy = busy.Load
	f.record("id", small)
	f.publish(whole("id"))
	alone := f.heard(func(l queue.LaneLoad) bool { return l.Running == 1 && l.Waiting == 0 })
	f.run(4)
	expect.Received(t, "the listing", waiting)
	expect.Received(t, "that one partition runs and nobody waits", alone)
	return f, busy
}

// TestEveryRedeliveryStopsAtTheCut delivers a partition that was cut two more times. The
// cut is recorded by the last cover, or by a note if no range was stored since.
func TestEveryRedeliveryStopsAtTheCut(t *testing.T) {
	const cut = "dir/001000"
	records := map[string]func(f *fleet, p partition.Partition, first *partition.RangeMetadata) error{
		"a cover": func(f *fleet, p partition.Partition, first *partition.RangeMetadata) error {
			return f.backend.Covers.Publish(t.Context(), "id", p.ID, partition.Cover{Span: partition.Span{Upto: first.MaxKey}, Range: first, Cut: cut})
		},
		"a note": func(f *fleet, p partition.Partition, _ *partition.RangeMetadata) error {
			return f.backend.Covers.NoteTries(t.Context(), "id", p.ID, covers.Tries{Count: 1, Cut: cut})
		},
		"a note of the last of two cuts": func(f *fleet, p partition.Partition, first *partition.RangeMetadata) error {
			before := partition.Cover{Span: partition.Span{Upto: first.MaxKey}, Range: first, Cut: "dir/001900"}
			return errors.Join(f.backend.Covers.Publish(t.Context(), "id", p.ID, before),
				f.backend.Covers.NoteTries(t.Context(), "id", p.ID, covers.Tries{Count: 1, Cut: cut}))
		},
	}
	for name, record := range records {
		t.Run(name, func(t *testing.T) { redelivered(t, cut, record) })
	}
}

func redelivered(t *testing.T, cut string, record func(*fleet, partition.Partition, *partition.RangeMetadata) error) {
	source, want := numbered(t, 2000, small)
	source.PageSize = page
	end := "" // the first anchor after the cut
	for _, r := range want {
		if end == "" && r.MaxKey > cut && small.Anchor([]byte(r.MaxKey)) {
			end = r.MaxKey
		}
	}
	waiting, _ := blocked(source, "dir/000700")
	f := start(t, source)
	f.record("id", small)
	p := whole("id")
	expect.NoError(t, record(f, p, &want[0]))
	f.publish(p)
	task, err := f.backend.Queue.Puller(queue.Bulk).Pull(t.Context())
	expect.NoError(t, err)
	expect.NoError(t, task.Nak(t.Context(), 0))
	stop := f.run(1)
	expect.Received(t, "the listing", waiting)
	stop()
	last, _, err := f.backend.Covers.Last(t.Context(), "id", p.ID)
	expect.NoError(t, err)
	if last.Cut != cut || last.Upto == want[0].MaxKey {
		t.Fatalf("the first redelivery's last cover is %+v, want one that names the cut", last)
	}
	var listed calls
	source.Hook = listed.hook
	f.run(1)
	f.idle("id")
	if last, _, err = f.backend.Covers.Last(t.Context(), "id", p.ID); err != nil || last.Upto != end {
		t.Errorf("the partition ended at %q, %v, want the first anchor after the cut: %q", last.Upto, err, end)
	}
	for _, c := range listed.of("page") {
		if c.Key > "dir/001300" {
			t.Fatalf("listed %q, far behind the cut", c.Key)
		}
	}
}
