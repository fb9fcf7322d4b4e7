package worker_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// TestAWalkIsCutForNobody has workers wait beside one that walks.
func TestAWalkIsCutForNobody(t *testing.T) {
	source, want := numbered(t, 4000, small)
	source.PageSize = page
	f := start(t, source)
	f.listing.Mode = objectstore.Walk
	hungry := f.heard(func(l queue.Load) bool { return l.Hungry() && l.Waiting == 3 })
	source.Hook = func(_ context.Context, c memstore.Call) error {
		switch {
		case c.Op == "list":
			t.Errorf("a bucket that is walked was listed after %q", c.After)
		case c.Op == "page" && c.Key > "dir/000200":
			expect.Received(t, "all hear that somebody waits", hungry)
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
	got, covers := f.covers("id")
	f.idle("id")
	if !slices.Equal(slices.Collect(got.All()), want) {
		t.Errorf("ranges %v, want %v", slices.Collect(got.All()), want)
	}
	if slices.ContainsFunc(covers, func(c partition.Cover) bool { return c.Cut != "" }) {
		t.Error("a cover tells of a cut")
	}
	done := 0.0
	for _, f.metrics = range workers {
		done += f.outcome("done")
	}
	if done != 1 {
		t.Errorf("%v deliveries of one walk", done)
	}
}

// TestAWalkGivesWayAndLosesNothing runs two walks on one slot with slices of next to
// nothing. Each time that a walk comes round again it has to pass over what it had, and so goes on
// for as long as that took: its turns grow, and it ends.
func TestAWalkGivesWayAndLosesNothing(t *testing.T) {
	source, want := numbered(t, 2000, small)
	source.PageSize = page
	f := start(t, source)
	f.listing.Mode = objectstore.Walk
	f.slice = time.Nanosecond
	inLine := f.heard(func(l queue.Load) bool { return l.Next == "second" })
	var walks atomic.Int64
	source.Hook = func(_ context.Context, c memstore.Call) error {
		switch {
		case c.Op == "walk":
			walks.Add(1)
		case c.Op == "page" && c.Key > "dir/000600" && walks.Load() == 1:
			expect.Received(t, "all hear that another import is in line", inLine)
		}
		return nil
	}
	f.record("first", small)
	f.buckets["other"], _ = numbered(t, 300, small)
	f.recordOf("second", "other", small)
	f.publish(whole("first"), whole("second"))
	f.run(1)
	f.covers("second")
	got, covers := f.covers("first")
	f.idle("first")
	if !slices.Equal(slices.Collect(got.All()), want) {
		t.Errorf("ranges %v, want %v", slices.Collect(got.All()), want)
	}
	if len(covers) != len(want)+1 {
		t.Errorf("%d covers of %d ranges: giving way must not repeat work", len(covers), len(want))
	}
	if walks.Load() < 2 {
		t.Error("the walk never gave way")
	}
}

// A worker that reads the record of an import as it was before the import was planned, as
// it may while a NATS leader is elected, does not know yet how the bucket is listed.
func TestNothingIsListedBeforeItIsKnownHow(t *testing.T) {
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	f := start(t, source)
	f.listing.Mode = objectstore.Walk
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "list" {
			t.Errorf("a bucket that is to be walked was listed after %q", c.After)
		}
		return nil
	}
	f.recordUnplanned("id", "bucket", small)
	f.publish(whole("id"))
	f.run(1)
	expect.Eventually(t, "the partition is tried", func() bool { return f.outcome("retried") > 0 || f.outcome("done") > 0 })
	f.plan("id")
	got, _ := f.covers("id")
	if !slices.Equal(slices.Collect(got.All()), want) {
		t.Errorf("ranges %v, want %v", slices.Collect(got.All()), want)
	}
}
