package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// cuts returns keys at which to cut: anchors, other keys that exist, and keys in between.
func cuts(rng *rand.Rand, entries []entry.Entry, breaks partition.Breaks) []string {
	var all []string
	for range rng.IntN(9) {
		key := entries[rng.IntN(len(entries))].Key
		switch rng.IntN(4) {
		case 0:
			key = entrytest.Random(rng, 1)[0].Key
		case 1:
			key += "\x00"
		case 2:
			for _, e := range entries {
				if e.Key > key && breaks.Anchor([]byte(e.Key)) {
					key = e.Key
					break
				}
			}
		}
		all = append(all, key)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestPartitionsAtAnyKeysGiveTheSameRanges cuts imports at random keys. Workers stop or
// die at random moments, and some of the work is delivered twice.
func TestPartitionsAtAnyKeysGiveTheSameRanges(t *testing.T) {
	rng := seeded.Rand(t)
	server := queuetest.StartServer(t, natsd.Config{})
	connect := func() *backend.Backend {
		return queuetest.Connect(t, natsconn.Config{InProcess: server}, backend.Options{Queue: queue.Config{AckWait: 2 * time.Second}})
	}
	q := connect()
	anchored, sized := 0, 0
	for round := range 8 {
		breaks := partition.Breaks{MaxSize: 1 + rng.Uint64N(9000), Raggedness: 1 + rng.Uint64N(60)}
		entries, want := sample(t, rng, 1+rng.IntN(400), breaks)
		for _, r := range want {
			if breaks.Anchor([]byte(r.MaxKey)) {
				anchored++
			} else {
				sized++
			}
		}
		source := memstore.Of(entries)
		source.PageSize = 1 + rng.IntN(60)
		f := newFleet(t, q, source)
		if rng.IntN(3) == 0 { // a store that ends every listing that does not start at the first key
			source.EndsAfter = func(after string) bool { return after != "" }
			source.PageSize = 0
			f.listing.Mode = objectstore.Walk
		}
		id := fmt.Sprintf("import-%d", round)
		f.record(id, breaks)
		parts := rangetest.Plan(id, cuts(rng, entries, breaks))
		if rng.IntN(2) == 0 { // the same keys twice, with other cuts
			parts = append(parts, rangetest.Plan(id, cuts(rng, entries, breaks))...)
		}
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		done := make(chan struct{})
		died := f.shortLived(connect, done, rng.IntN(3), rng.IntN(2) == 0, func() int64 { return rng.Int64N(int64(2 + len(want)/2)) })
		f.publish(parts...)
		stop := f.run(2)
		got, covers := f.covers(id)
		close(done)
		<-died
		stop()
		if !slices.Equal(slices.Collect(got.All()), want) {
			t.Fatalf("round %d, %d entries, %+v, partitions %v:\n got %v\nwant %v", round, len(entries), breaks, parts, slices.Collect(got.All()), want)
		}
		for _, c := range covers {
			if c.Range != nil && !slices.Contains(want, *c.Range) {
				t.Errorf("round %d: cover %v of a range that is not canonical: %v", round, c.Span, c.Range)
			}
		}
		if a, b := writeMetarange(t, slices.Collect(got.All())), writeMetarange(t, want); a != b {
			t.Errorf("metarange %s, want %s", a, b)
		}
		expect.NoError(t, q.Discard(t.Context(), id))
	}
	if anchored < 10 || sized < 10 {
		t.Errorf("%d ranges ended at anchors and %d by their size: the test needs both", anchored, sized)
	}
}

// shortLived runs workers one after the other until done is closed. Each ends after some
// ranges: it is stopped, or killed by closing its connection first, so that the queue
// hears nothing more of it.
func (f *fleet) shortLived(connect func() *backend.Backend, done <-chan struct{}, workers int, kill bool, lifetime func() int64) (died chan struct{}) {
	var left atomic.Int64
	end := make(chan struct{}, 1)
	f.buckets["repo"].Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "put" && left.Add(-1) == 0 {
			select {
			case end <- struct{}{}:
			default:
			}
		}
		return nil
	}
	died = make(chan struct{})
	queues, lifetimes := make([]*backend.Backend, workers), make([]int64, workers)
	for i := range workers {
		queues[i], lifetimes[i] = connect(), 1+lifetime()
	}
	go func() {
		defer close(died)
		for i, q := range queues {
			left.Store(lifetimes[i])
			stop := f.runOn(q, 2, prometheus.NewRegistry())
			select {
			case <-end:
			case <-done:
			}
			if kill {
				q.Close()
			}
			stop()
		}
	}()
	return died
}

// files is a store of metaranges.
type files map[string][]byte

func (m files) Get(_ context.Context, id string) ([]byte, error) {
	if data, ok := m[id]; ok {
		return data, nil
	}
	return nil, errors.New("no such file")
}

func (m files) Put(_ context.Context, id string, data []byte, _ objectstore.Sum) error {
	m[id] = slices.Clone(data)
	return nil
}

func writeMetarange(t *testing.T, ranges []partition.RangeMetadata) string {
	t.Helper()
	id, err := metarange.Write(t.Context(), files{}, ranges)
	expect.NoError(t, err)
	return id
}

// TestGapsAreFilledExactly takes covers away from a listing and lists the gaps. Both ends
// of their partitions are range boundaries.
func TestGapsAreFilledExactly(t *testing.T) {
	rng := seeded.Rand(t)
	entries, want := sample(t, rng, 500, small)
	source := memstore.Of(entries)
	source.PageSize = 17
	f := start(t, source)
	f.run(3)
	for round := range 5 {
		id := fmt.Sprintf("import-%d", round)
		f.record(id, small)
		var chain partition.Chain
		after := ""
		gone := map[string]bool{}
		for _, r := range want {
			c := partition.Cover{Span: partition.Span{After: after, Upto: r.MaxKey}, Range: &r}
			if after = r.MaxKey; rng.IntN(3) > 0 {
				chain.Add(c)
				expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "lost", c))
			} else {
				gone[r.ID] = true
			}
		}
		f.publish(partition.Uncovered(id, chain.Fold().Gaps, nil)...)
		got, covers := f.covers(id)
		f.idle(id)
		if !slices.Equal(slices.Collect(got.All()), want) {
			t.Fatalf("ranges %v, want %v", slices.Collect(got.All()), want)
		}
		listed := 0
		for _, c := range covers {
			if c.Range != nil && gone[c.Range.ID] {
				listed++
			}
		}
		if n, err := f.backend.Covers.Count(t.Context(), id); err != nil || listed != len(gone) || int(n) > len(want)+1 {
			t.Errorf("%d of %d ranges were listed, %d covers are stored for %d ranges, %v", listed, len(gone), n, len(want), err)
		}
	}
}
