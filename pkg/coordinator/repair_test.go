package coordinator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestLostPartitionsAreQueuedAgain(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	f := newFleet(t, source)
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/000500", "dir/001000", "dir/002000")
	stop := f.run(s.Run)
	for range 2 { // two are taken from the queue and not worked on
		ctx, cancel := context.WithTimeout(t.Context(), expect.Patience)
		task, err := f.backend.Queue.Puller(queue.Bulk).Pull(ctx)
		cancel()
		expect.NoError(t, err)
		expect.NoError(t, task.Ack(t.Context()))
	}
	stop()
	f.serve()
	f.work(2)
	f.completed(id)
	f.expectTree(entries)
}

func TestAnImportIsTakenOverAfterACrash(t *testing.T) {
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
				return r.Plan(time.Now(), rangetest.Plan(id, []string{"dir/001"}), objectstore.Listing{}, 0)
			})
			expect.NoError(t, err)
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

// TestASourceThatChangesBetweenListings removes and adds objects after some partitions
// were listed and before others are.
func TestASourceThatChangesBetweenListings(t *testing.T) {
	t.Parallel()
	source, entries := numbered(2500)
	f := newFleet(t, source)
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/000600", "dir/001200", "dir/001800")
	f.run(s.Run)
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
	for i, e := range entries { // objects that were not removed are imported
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
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "p", partition.Cover{Span: partition.Span{Upto: "dir/k"}}))
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "p", partition.Cover{Span: partition.Span{After: "dir/m", Upto: "dir/o"}}))
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "p", partition.Cover{Span: partition.Span{After: "dir/o"}}))
	_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(time.Now(), []partition.Partition{partition.Whole(id)}, objectstore.Listing{}, 0)
	})
	expect.NoError(t, err)
	d := s.newDriver(id)
	d.progress.Await(t.Context(), 3)
	gap := partition.New(id, partition.Span{After: "dir/k", Upto: "dir/m"}, true, true)
	for n := 1; ; n++ {
		expect.NoError(t, s.watch.survey(t.Context()))
		if ended, err := d.step(t.Context()); err != nil || ended {
			t.Fatalf("step %d: %t, %v", n, ended, err)
		}
		r := f.record(id)
		if r.State == imports.Failed {
			if n != maxListings+1 || !strings.Contains(r.Error, `("dir/k", "dir/m"]`) {
				t.Errorf("after %d steps: %q", n, r.Error)
			}
			return
		}
		if n > maxListings {
			t.Fatalf("the gap was queued %d times", n)
		}
		for range 2 { // while its partition is queued or running, it is no gap
			expect.NoError(t, s.watch.survey(t.Context()))
			expect.NoError(t, d.advance(t.Context(), r))
		}
		if parts := queuetest.Outstanding(t, f.backend, id); !slices.Equal(parts, []partition.Partition{gap}) {
			t.Fatalf("queued %v, want the gap %v", parts, gap)
		}
		task, err := f.backend.Queue.Puller(queue.Bulk).Pull(t.Context())
		expect.NoError(t, err)
		expect.NoError(t, task.Ack(t.Context())) // as a worker does that found no ranges
	}
}

func TestATransientErrorDoesNotFailTheImport(t *testing.T) {
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

// TestABrokenRecordStopsNoOtherImport puts garbage among the records.
func TestABrokenRecordStopsNoOtherImport(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	_, err := f.backend.Bucket("imports").Create(t.Context(), "i.0", []byte("{"))
	expect.NoError(t, err)
	s, _ := f.serve()
	f.work(1)
	f.do(s, request("", ""))
}

// NATS may lose whole streams, even without a power failure.
func TestAFleetWhoseQueueIsLost(t *testing.T) {
	t.Parallel()
	source, entries := numbered(5000)
	open := newGate(source, "dir/001", 3)
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server, Timeout: time.Second})
	f := fleetOn(t, q, q.Bucket(kv.BucketImports), q.Bucket(kv.BucketCatalog), source)
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	f.work(2)
	expect.Eventually(t, "covers are followed", func() bool {
		p := s.follow(id)
		return p != nil && p.Count() > 10
	})
	queuetest.Lose(t, server, "WORK", "COVERS")
	open()
	f.completed(id)
	f.expectTree(entries)
}
