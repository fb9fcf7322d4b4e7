package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

func TestASmallImportDoesNotWaitForABigOne(t *testing.T) {
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	waiting, _ := blocked(source, "dir/000500")
	f := start(t, source)
	f.record("big", small)
	f.record("small", small)
	f.publish(whole("big"))
	f.run(1)
	expect.Received(t, "the listing of the big one", waiting)
	f.publish(rangetest.Plan("other", []string{"dir/000500"})...) // behind it; never begun
	expect.NoError(t, f.backend.Queue.Publish(tracedlog.Place().In(t.Context()), queue.Express, whole("small")))
	f.covered("small", want)
	f.idle("small")
	if left, err := f.backend.Queue.OutstandingCount(t.Context(), "big"); err != nil || left != 1 {
		t.Errorf("%d partitions of the big one are left, %v, want the one that is blocked", left, err)
	}
}

// rivals starts a fleet for two imports, "first" and "second", that want the only slot
// of a worker. Slices of time are next to nothing. source is the bucket of the first
// import, and want its ranges. awaitSecond is to be called with each call to source: it
// waits at a late key until all workers hear that the second import is in line.
func rivals(t *testing.T) (f *fleet, source *memstore.Store, want []partition.RangeMetadata, awaitSecond func(memstore.Call)) {
	t.Helper()
	source, want = numbered(t, 2000, small)
	source.PageSize = page
	f = start(t, source)
	f.slice = time.Nanosecond
	f.buckets["other"], _ = numbered(t, 300, small)
	inLine := f.heard(func(l queue.LaneLoad) bool { return l.Next == "second" })
	return f, source, want, func(c memstore.Call) {
		if c.Op == "page" && c.Key > "dir/000600" {
			expect.Received(t, "all hear that another import is in line", inLine)
		}
	}
}

// compete queues the two imports of rivals, and runs a worker until the second one has
// ended.
func (f *fleet) compete() {
	f.t.Helper()
	f.record("first", small)
	f.recordOf("second", "other", small)
	f.publish(whole("first"), whole("second"))
	f.run(1)
	f.covers("second")
}

// TestABigPartitionGivesWay runs two imports on one slot. The rest of the first one is
// held back until the second one has ended.
func TestABigPartitionGivesWay(t *testing.T) {
	f, source, want, awaitSecond := rivals(t)
	ended := make(chan struct{})
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "list" && c.After != "" {
			expect.Received(t, "the end of the second import", ended)
		}
		awaitSecond(c)
		return nil
	}
	f.compete()
	close(ended)
	covers := f.covered("first", want)
	f.idle("first")
	if len(covers) != len(want)+1 {
		t.Errorf("%d covers of %d ranges: giving way must not repeat work", len(covers), len(want))
	}
	if f.outcome("yielded") == 0 {
		t.Error("no delivery gave way")
	}
}

// TestGivingWayHidesNoError refuses a range of a partition that gives way. The
// partition is delivered again: here is no coordinator that would find the gap.
func TestGivingWayHidesNoError(t *testing.T) {
	f, source, want, awaitSecond := rivals(t)
	var refuse sync.Once
	refused := make(chan struct{})
	source.Hook = func(_ context.Context, c memstore.Call) error {
		awaitSecond(c)
		if c.Op == "page" && c.Key > "dir/000600" {
			refuse.Do(func() { close(refused) })
		}
		return nil
	}
	var once sync.Once
	f.buckets["repo"].Hook = func(_ context.Context, c memstore.Call) (err error) {
		select {
		case <-refused:
			if c.Op == "put" {
				once.Do(func() { err = errors.New("503 SlowDown") })
			}
		default:
		}
		return err
	}
	f.compete()
	f.covered("first", want)
	if f.outcome("retried") != 1 || f.outcome("yielded") == 0 {
		t.Errorf("%v deliveries were retried, %v gave way", f.outcome("retried"), f.outcome("yielded"))
	}
}

// TestNobodyGivesWayToItself has a partition go on while one of its own import waits.
func TestNobodyGivesWayToItself(t *testing.T) {
	source, _ := numbered(t, 2000, small)
	source.PageSize = page
	f := start(t, source)
	f.slice = time.Nanosecond
	inLine := f.heard(func(l queue.LaneLoad) bool { return l.Pending > 0 && l.Next == "id" })
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "page" && c.Key > "dir/000600" {
			expect.Received(t, "all hear that a partition is in line", inLine)
		}
		return nil
	}
	f.record("id", small)
	f.publish(rangetest.Plan("id", []string{"dir/001000"})...)
	f.run(1)
	f.covers("id")
	f.idle("id")
	if n := f.outcome("yielded"); n != 0 {
		t.Errorf("%v deliveries gave way to their own import", n)
	}
}

func TestAFullQueueStopsNoListing(t *testing.T) {
	source, want := numbered(t, 2000, small)
	source.PageSize = page
	server := startServer(t)
	q := connect(t, natsconn.Config{InProcess: server}, backend.Options{Queue: queue.Config{MaxQueued: 2}})
	f := newFleet(t, q, source)
	f.slice = time.Nanosecond
	inLine := f.heard(func(l queue.LaneLoad) bool { return l.Next == "second" })
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "page" && c.Key > "dir/000600" {
			expect.Received(t, "all hear that another import is in line", inLine)
		}
		return nil
	}
	f.record("first", small)
	f.record("second", small)
	f.publish(whole("first"), whole("second"))
	f.run(1)
	f.covered("first", want)
	f.covers("second")
	if f.outcome("yielded") != 0 || f.outcome("retried") != 0 {
		t.Errorf("%v deliveries yielded, %v were retried: there was no room for the rest", f.outcome("yielded"), f.outcome("retried"))
	}
}

// TestARestThatIsQueuedTwice has a worker die after it queued the rest of its partition
// behind others, and before it acknowledged the partition.
func TestARestThatIsQueuedTwice(t *testing.T) {
	source, want := numbered(t, 1000, small)
	f := start(t, source)
	f.record("id", small)
	p := whole("id")
	after := f.cover(p, want[:len(want)/2])
	f.publish(p, partition.New("id", partition.Span{After: after}, true, false))
	f.run(2)
	f.covered("id", want)
	f.idle("id")
}
