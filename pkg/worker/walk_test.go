package worker_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// TestAWalkIsCutForNobody has workers wait while another one walks.
func TestAWalkIsCutForNobody(t *testing.T) {
	_, covers, done := besideIdleWorkers(t, objectstore.Walk, func(c memstore.Call) {
		if c.Op == "list" {
			t.Errorf("a bucket that is walked was listed after %q", c.After)
		}
	})
	if slices.ContainsFunc(covers, func(c partition.Cover) bool { return c.Cut != "" }) {
		t.Error("a cover names a cut")
	}
	if done != 1 {
		t.Errorf("%v deliveries of one walk", done)
	}
}

// TestAWalkGivesWayAndLosesNothing runs two walks on one slot, with slices of next to
// nothing. Each delivery of a walk first passes over what was listed before, and then goes
// on for as long as that took. So its turns grow, and it ends.
func TestAWalkGivesWayAndLosesNothing(t *testing.T) {
	f, source, want, awaitSecond := rivals(t)
	f.listing.Mode = objectstore.Walk
	var walks atomic.Int64
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "walk" {
			walks.Add(1)
		}
		if walks.Load() == 1 {
			awaitSecond(c)
		}
		return nil
	}
	f.compete()
	covers := f.covered("first", want)
	f.idle("first")
	if len(covers) != len(want)+1 {
		t.Errorf("%d covers of %d ranges: giving way must not repeat work", len(covers), len(want))
	}
	if walks.Load() < 2 {
		t.Error("the walk never gave way")
	}
}

// A worker may read the record of an import as it was before the import was planned, while
// NATS elects a leader. It then does not know yet how the bucket is listed.
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
	f.covered("id", want)
}
