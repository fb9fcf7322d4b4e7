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
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestLostPartitionsAreQueuedAgain(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 3000)
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/000500", "dir/001000", "dir/002000")
	stop := f.run(s.Run)
	for range 2 { // two are taken from the queue and not worked on
		expect.NoError(t, pull(f).Ack(t.Context()))
	}
	stop()
	f.serve()
	f.work(2)
	f.completed(id)
	f.expectTree(entries)
}

func TestAnImportIsTakenOverAfterACrash(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 2000)
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
			plan(f, id, objectstore.Parallel, rangetest.Plan(id, []string{"dir/001"}))
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
	f, _ := numberedFleet(t, 10)
	s := f.service()
	t.Cleanup(s.close)
	id := f.start(s, request("", ""))
	cover(f, id, partition.Span{Upto: "dir/k"})
	cover(f, id, partition.Span{After: "dir/m", Upto: "dir/o"})
	cover(f, id, partition.Span{After: "dir/o"})
	plan(f, id, objectstore.Parallel, []partition.Partition{partition.Whole(id)})
	d := s.newDriver(id, root)
	d.progress.Await(t.Context(), 3)
	gap := partition.New(id, partition.Span{After: "dir/k", Upto: "dir/m"}, true, true)
	for n := 1; ; n++ {
		expect.NoError(t, s.watch.survey(t.Context()))
		ended, err := d.step(t.Context())
		expect.NoError(t, err)
		r := f.record(id)
		if ended {
			if r.State != imports.Failed || n != maxListings+1 || !strings.Contains(r.Error, `("dir/k", "dir/m"]`) {
				t.Errorf("after %d steps the import is %s: %q", n, r.State, r.Error)
			}
			return
		}
		if n > maxListings {
			t.Fatalf("the gap was queued %d times", n)
		}
		for range 2 { // while its partition is queued or running, it is no gap
			expect.NoError(t, s.watch.survey(t.Context()))
			_, err := d.advance(t.Context(), r)
			expect.NoError(t, err)
		}
		if parts := queuetest.Outstanding(t, f.backend, id); !slices.Equal(parts, []partition.Partition{gap}) {
			t.Fatalf("queued %v, want the gap %v", parts, gap)
		}
		expect.NoError(t, pull(f).Ack(t.Context())) // as a worker does that found no ranges
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
	f, _ := numberedFleet(t, 10)
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
	f := fleetOver(t, q, source)
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	f.work(2)
	expect.Eventually(t, "covers are followed", func() bool {
		p := s.follow(id, root)
		if p == nil {
			return false
		}
		_, covers := p.Fold()
		return covers > 10
	})
	queuetest.Lose(t, server, "WORK", "COVERS")
	open()
	f.completed(id)
	f.expectTree(entries)
}
