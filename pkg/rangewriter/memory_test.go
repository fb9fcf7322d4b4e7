package rangewriter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// Writers that share buffers at the same time never write into one that is still
// being stored.
func TestWritersShareBuffers(t *testing.T) {
	rng := seeded.Rand(t)
	entries := entrytest.Random(rng, 600)
	breaks := partition.Breaks{MaxSize: 5_000, Raggedness: 100}
	want := naive(t, entries, breaks)
	var buffers rangewriter.Buffers
	var tasks sync.WaitGroup
	for range 4 {
		tasks.Go(func() {
			for range 8 {
				var got []partition.RangeMetadata
				var files memory
				w := rangewriter.New(t.Context(), &files, breaks, rangewriter.Options{Uploads: 3, Stored: collect(&got), Buffers: &buffers})
				if err := errors.Join(w.Write(entrytest.Batch(entries...)), w.Flush()); err != nil {
					t.Error(err)
				}
				w.Close()
				if !slices.Equal(got, want) {
					t.Errorf("got ranges\n%v\nwant\n%v", got, want)
				}
				for _, r := range got {
					if n := len(records(t, files.files[r.ID])); int64(n) != r.Count {
						t.Errorf("range %s holds %d records, want %d", r.ID, n, r.Count)
					}
				}
			}
		})
	}
	tasks.Wait()
}

// TestMemoryOfFiles checks that no file has more memory than the largest one needs.
func TestMemoryOfFiles(t *testing.T) {
	const largest = 16 << 20 // several small files
	var mu sync.Mutex
	var sizes, caps []int
	files := putFunc(func(_ context.Context, _ string, data []byte) error {
		mu.Lock()
		defer mu.Unlock()
		sizes, caps = append(sizes, len(data)), append(caps, cap(data))
		return nil
	})
	w := rangewriter.New(t.Context(), files, partition.Breaks{MaxSize: largest, Raggedness: 1 << 62}, rangewriter.Options{})
	defer w.Close()
	const seed = 1
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	for n := 0; len(caps) < 3; n += 500 {
		var entries []entry.Entry
		for i := range 500 {
			etag := fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())
			entries = append(entries, entry.Entry{Key: fmt.Sprintf("%08d", n+i), Address: "s3://b/" + etag, ETag: etag})
		}
		expect.NoError(t, w.Write(entrytest.Batch(entries...)))
		expect.NoError(t, w.Wait())
	}
	for i, size := range sizes {
		if size < largest || caps[i] > largest*9/8 {
			t.Errorf("a file of %d bytes has memory for %d; the largest takes %d", size, caps[i], largest)
		}
	}
}

// A store that hangs may take all the memory for files, and keeps no writer waiting whose
// own store answers.
func TestAStoreThatHangsBlocksOnlyItsOwnWriters(t *testing.T) {
	const writers = 3
	buffers := &rangewriter.Buffers{Limit: 16 << 20} // two files
	hanging := make(chan struct{}, 100)
	hang := putFunc(func(ctx context.Context, _ string, _ []byte) error {
		hanging <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	entries := entrytest.Batch(entrytest.Random(seeded.Rand(t), 50)...)
	breaks := partition.Breaks{MaxSize: 1, Raggedness: 1}
	ctx, cancel := context.WithCancel(t.Context())
	var hung sync.WaitGroup
	for range writers {
		hung.Go(func() {
			w := rangewriter.New(ctx, hang, breaks, rangewriter.Options{Uploads: 2, Buffers: buffers})
			defer w.Close()
			if err := w.Write(entries); !errors.Is(err, context.Canceled) {
				t.Errorf("a writer whose store hangs: %v", err)
			}
		})
	}
	for range writers {
		expect.Received(t, "a range of a writer whose store hangs", hanging)
	}
	stored := make(chan error, 1)
	go func() {
		w := rangewriter.New(t.Context(), &memory{}, breaks, rangewriter.Options{Uploads: 2, Buffers: buffers})
		defer w.Close()
		stored <- errors.Join(w.Write(entries), w.Flush())
	}()
	expect.NoError(t, expect.Received(t, "the end of a writer whose store answers", stored))
	cancel()
	hung.Wait()
}

// A wait for memory ends with the context of the call. It does not stop the writer, which
// keeps the range that is being stored.
func TestWriteRangeWaitsForMemoryUntilItsContextEnds(t *testing.T) {
	entries := entrytest.Random(seeded.Rand(t), 2)
	release := make(chan struct{})
	slow := putFunc(func(ctx context.Context, _ string, _ []byte) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	var got []partition.RangeMetadata
	oneEach := partition.Breaks{MaxSize: 1, Raggedness: 1}
	w := rangewriter.New(t.Context(), slow, oneEach, rangewriter.Options{
		Uploads: 2, Stored: collect(&got), Buffers: &rangewriter.Buffers{Limit: 1},
	})
	defer w.Close()
	expect.NoError(t, w.Write(entrytest.Batch(entries[0])))
	ctx, cancel := context.WithCancelCause(t.Context())
	leaving := errors.New("leaving")
	second := entrytest.Batch(entries[1])
	ended := make(chan error, 1)
	go func() {
		n, _, err := w.WriteRange(ctx, second)
		if n != 0 || !w.AtBoundary() {
			t.Errorf("%d entries were appended without memory", n)
		}
		ended <- err
	}()
	cancel(leaving)
	if err := expect.Received(t, "the end of the wait", ended); !errors.Is(err, leaving) {
		t.Errorf("the wait ended with %v, want %v", err, leaving)
	}
	close(release)
	expect.NoError(t, w.Wait())
	if _, _, err := w.WriteRange(ctx, second); !errors.Is(err, leaving) {
		t.Errorf("a range begins after the end of the context: %v", err)
	}
	expect.NoError(t, w.Write(second))
	expect.NoError(t, w.Flush())
	if want := naive(t, entries, oneEach); !slices.Equal(got, want) {
		t.Errorf("stored %v, want %v", got, want)
	}
}

// The hot path allocates per batch at most, never per key.
func TestWriteDoesNotAllocatePerKey(t *testing.T) {
	const keys, runs = 1000, 20
	entries := entrytest.Random(seeded.Rand(t), keys*(runs+1)) // AllocsPerRun runs once more to warm up
	w := rangewriter.New(t.Context(), &memory{}, partition.Breaks{MaxSize: 1 << 40, Raggedness: 1 << 62}, rangewriter.Options{})
	defer w.Close()
	var batches []entry.Batch
	for c := range slices.Chunk(entries, keys) {
		batches = append(batches, entrytest.Batch(c...))
	}
	got := testing.AllocsPerRun(runs, func() {
		expect.NoError(t, w.Write(batches[0]))
		batches = batches[1:]
	})
	if got > keys/5 { // pebble's writer allocates for blocks, which hold tens of keys
		t.Errorf("%v allocations for %d keys", got, keys)
	}
}
