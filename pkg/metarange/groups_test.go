package metarange_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// leastGroup is what a group of small ranges reserves, in bytes.
const leastGroup = 512 << 10

// watched are files that count the reads in progress. A read waits until ready is closed.
type watched struct {
	*memory
	running, most atomic.Int64
	begun         chan struct{} // holds a value for each read that has begun
	ready         chan struct{}
}

func watch(m *memory) *watched {
	return &watched{memory: m, begun: make(chan struct{}, 1000), ready: make(chan struct{})}
}

func (w *watched) Get(ctx context.Context, id string) ([]byte, error) {
	n := w.running.Add(1)
	defer w.running.Add(-1)
	for most := w.most.Load(); n > most && !w.most.CompareAndSwap(most, n); most = w.most.Load() {
	}
	w.begun <- struct{}{}
	select {
	case <-w.ready:
		return w.memory.Get(ctx, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reservations are what is told to a budget's owner.
type reservations struct {
	mu        sync.Mutex
	now, most int
}

func (r *reservations) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now += n
	r.most = max(r.most, r.now)
}

// changedRanges returns trees of many ranges, each of which has a changed value.
func changedRanges(t testing.TB, files *memory) (before, after []partition.RangeMetadata) {
	tree := numbered("k", 1000)
	before = tree.ranges(t, files, byAnchor)
	other := maps.Clone(tree)
	for _, r := range before {
		other[r.MinKey] += "!"
	}
	return before, other.ranges(t, files, byAnchor)
}

// TestCompareKeepsToItsBudget holds all reads back until no further one begins.
func TestCompareKeepsToItsBudget(t *testing.T) {
	const beside = 3
	m := newMemory()
	before, after := changedRanges(t, m)
	files, held := watch(m), &reservations{}
	go func() {
		for range beside + 1 { // the landing itself compares a group, too
			<-files.begun
		}
		close(files.ready)
	}()
	got, err := compareWithin(t.Context(), files, before, after, metarange.NewBudget(beside*leastGroup, held.add))
	want := metarange.Changes{Replaced: int64(len(before)), Unchanged: int64(1000 - len(before))}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if most := files.most.Load(); most != beside+1 || held.most != beside*leastGroup || held.now != 0 {
		t.Errorf("%d reads at a time, want %d; %d bytes reserved, %d left", most, beside+1, held.most, held.now)
	}
}

// TestCompareLeavesNothingBehind ends comparisons while reads beside them wait.
func TestCompareLeavesNothingBehind(t *testing.T) {
	m := newMemory()
	before, after := changedRanges(t, m)
	for _, how := range []string{"the caller stops", "the context ends", "the tree fails"} {
		files, held := watch(m), &reservations{}
		ctx, cancel := context.WithCancel(t.Context())
		ranges := func(yield func(partition.RangeMetadata, error) bool) {
			for _, r := range after[:len(after)/2] {
				if !yield(r, nil) {
					return
				}
			}
			<-files.begun
			switch how {
			case "the context ends":
				cancel()
				yield(after[len(after)/2], nil)
			case "the tree fails":
				yield(partition.RangeMetadata{}, errMissing)
			}
		}
		var c metarange.Changes
		var last error
		taken := 0
		for _, err := range metarange.Compare(ctx, files, metarange.List(before), ranges, metarange.NewBudget(1<<30, held.add), &c) {
			last = err
			if taken++; how == "the caller stops" && taken == 3 {
				break
			}
		}
		cancel()
		if n := files.running.Load(); n != 0 || held.now != 0 {
			t.Errorf("%s: %d reads go on, %d bytes are reserved", how, n, held.now)
		}
		if (last == nil) != (how == "the caller stops") {
			t.Errorf("%s: error %v", how, last)
		}
	}
}

// TestCompareEndsOnceAReadFails has the first range missing while reads of others wait.
func TestCompareEndsOnceAReadFails(t *testing.T) {
	m := newMemory()
	before, after := changedRanges(t, m)
	files := &failing{watch(m), after[0].ID}
	if _, err := compare(t.Context(), files, before, after); !errors.Is(err, errMissing) || files.running.Load() != 0 {
		t.Errorf("error %v, want that of the read; %d reads go on", err, files.running.Load())
	}
}

// failing lacks a file.
type failing struct {
	*watched
	missing string
}

func (f *failing) Get(ctx context.Context, id string) ([]byte, error) {
	if id == f.missing {
		return nil, errMissing
	}
	return f.watched.Get(ctx, id)
}

// TestCompareReadsNothingWithinGaps has a range with keys before and behind many ranges of
// the other tree, which need not be read.
func TestCompareReadsNothingWithinGaps(t *testing.T) {
	many, few := numbered("k", 3000), records{"a": "1", "z": "2"}
	files := newMemory()
	ranges := many.ranges(t, files, byAnchor)
	wide := few.ranges(t, files, partition.Breaks{MaxSize: 1 << 20, Raggedness: 1 << 40})
	for i, trees := range [][2][]partition.RangeMetadata{{ranges, wide}, {wide, ranges}} {
		files.forget()
		got, err := compare(t.Context(), files, trees[0], trees[1])
		expect.NoError(t, err)
		want := metarange.Changes{Removed: 3000, Added: 2}
		if i == 1 {
			want = metarange.Changes{Removed: 2, Added: 3000}
		}
		if got != want || len(files.got) != 1 {
			t.Errorf("%+v, want %+v; %d files were read, want the wide one", got, want, len(files.got))
		}
	}
}
