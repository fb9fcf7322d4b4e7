package worker_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// TestAWorkerThatStopsEndsItsRange tells a worker to stop while it waits for the store in
// the middle of a range. It must go on to the end of that range, and the next worker
// repeats nothing.
func TestAWorkerThatStopsEndsItsRange(t *testing.T) {
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	f := start(t, source)
	f.grace = expect.Patience
	var stored calls
	f.buckets["repo"].Hook = stored.hook
	inRange, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn()
	const held = "dir/000512" // the first key of a page
	end := slices.IndexFunc(want, func(r partition.RangeMetadata) bool { return r.MaxKey >= held })
	if want[end].MinKey >= held {
		t.Fatal("no range is open after the page")
	}
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "page" && c.Key >= held {
			once.Do(func() { close(inRange) })
			<-release
		}
		return nil
	}
	f.record("id", small)
	f.publish(whole("id"))
	stop := f.run(1)
	expect.Received(t, "the range", inRange)
	expect.Eventually(t, "what came before is covered", func() bool {
		n, err := f.backend.Covers.Count(t.Context(), "id")
		return err == nil && int(n) >= end
	})
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	expect.Eventually(t, "the worker knows that it stops", func() bool { return f.worker.Ready() != nil })
	expect.NoError(t, f.worker.Live())
	goOn()
	expect.Received(t, "the worker's end", stopped)
	if f.outcome("handed_back") != 1 {
		t.Errorf("%v deliveries were handed back, want 1", f.outcome("handed_back"))
	}
	n, err := f.backend.Covers.Count(t.Context(), "id")
	expect.NoError(t, err)
	if int(n) <= end || int(n) == len(want)+1 {
		t.Errorf("%d covers of %d when it stopped in range %d: it must end that one and not all", n, len(want), end)
	}
	f.run(1)
	got, covers := f.covers("id")
	if !slices.Equal(slices.Collect(got.All()), want) || len(covers) != len(want)+1 || len(stored.of("put")) != len(want) {
		t.Errorf("%d covers and %d files of %d ranges: stopping must not repeat work", len(covers), len(stored.of("put")), len(want))
	}
}

// TestAWorkerThatStopsDoesNotWaitForAStore tells a worker to stop while no range is open and
// the store does not answer.
func TestAWorkerThatStopsDoesNotWaitForAStore(t *testing.T) {
	source, _ := numbered(t, 10, small)
	waiting, _ := blocked(source, "")
	f := start(t, source)
	f.grace = expect.Patience
	f.record("id", small)
	f.publish(whole("id"))
	stop := f.run(1)
	expect.Received(t, "the listing", waiting)
	begun := time.Now()
	stop()
	if took := time.Since(begun); took > expect.Patience/2 || f.outcome("handed_back") != 1 {
		t.Errorf("the worker stopped after %v with %v partitions handed back", took, f.outcome("handed_back"))
	}
}

// TestAWorkerThatStopsDoesNotWaitForMemory tells a worker to stop while its first range is
// being stored and the next one waits for memory. That one must not begin any more.
func TestAWorkerThatStopsDoesNotWaitForMemory(t *testing.T) {
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	if want[2].MaxKey >= "dir/000256" {
		t.Fatal("the first page does not hold three ranges")
	}
	listing, listingEnded := blocked(source, "dir/000256")
	f := start(t, source)
	f.grace = expect.Patience
	f.buffers = &rangewriter.Buffers{Limit: 1} // room for one file
	storing, release := make(chan struct{}, len(want)), make(chan struct{})
	f.buckets["repo"].Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "put" {
			storing <- struct{}{}
			<-release
		}
		return nil
	}
	f.record("id", small)
	f.publish(whole("id"))
	stop := f.run(1)
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn()
	expect.Received(t, "the next page", listing)
	expect.Received(t, "the first range", storing)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	expect.Received(t, "the end of the listing", listingEnded)
	goOn()
	expect.Received(t, "the worker's end", stopped)
	n, err := f.backend.Covers.Count(t.Context(), "id")
	expect.NoError(t, err)
	if n != 1 || len(storing) != 0 || f.outcome("handed_back") != 1 {
		t.Errorf("%d covers, %d ranges stored after the first, %v deliveries handed back; want 1, 0 and 1", n, len(storing), f.outcome("handed_back"))
	}
	f.run(1)
	f.covered("id", want)
}

// TestHandingBackIsNoFailure stops more workers on one partition than tries may fail.
func TestHandingBackIsNoFailure(t *testing.T) {
	source, want := numbered(t, 100, small)
	f := start(t, source)
	f.record("id", small)
	f.publish(whole("id"))
	for range 25 {
		waiting, _ := blocked(source, "")
		stop := f.run(1)
		expect.Received(t, "the listing", waiting)
		stop()
	}
	source.Hook = nil
	f.run(1)
	f.covered("id", want)
}
