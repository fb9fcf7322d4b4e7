package entry_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
)

func entries(rng *rand.Rand, n int) []entry.Entry {
	all := make([]entry.Entry, n)
	for i := range all {
		all[i] = entry.Entry{
			Key: fmt.Sprintf("k%06d%s", i, strings.Repeat("x", rng.IntN(30))), Address: strings.Repeat("a", rng.IntN(30)),
			ETag: strings.Repeat("e", rng.IntN(3)), Size: rng.Int64(), ModTime: time.Unix(0, rng.Int64()).UTC(),
		}
	}
	return all
}

// arrows is the record of entries that Arrow's own builders make.
func arrows(all []entry.Entry) arrow.Record {
	rb := array.NewRecordBuilder(memory.DefaultAllocator, entry.Schema)
	defer rb.Release()
	for _, e := range all {
		for i, text := range []string{e.Key, e.Address, e.ETag} {
			rb.Field(i).(*array.BinaryBuilder).AppendString(text)
		}
		rb.Field(3).(*array.Int64Builder).Append(e.Size)
		rb.Field(4).(*array.TimestampBuilder).Append(arrow.Timestamp(e.ModTime.UnixNano()))
	}
	return rb.NewRecord()
}

func expect(t *testing.T, b entry.Batch, want []entry.Entry) {
	t.Helper()
	var got []entry.Entry
	for i := range b.Len() {
		got = append(got, b.Entry(i))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("batch of %d entries: %v, want %d: %v", len(got), got, len(want), want)
	}
	expectRecord(t, b.Record(), want)
}

// expectRecord releases rec, too.
func expectRecord(t *testing.T, rec arrow.Record, want []entry.Entry) {
	t.Helper()
	defer rec.Release()
	if twin := arrows(want); !array.RecordEqual(rec, twin) {
		t.Fatalf("record %v, want %v", rec, twin)
	}
}

// TestBatches builds batches one after another, and compares them, slices of
// them and their records with what Arrow's builders make.
func TestBatches(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	b := entry.NewBuilder()
	var batches []entry.Batch
	var contents [][]entry.Entry
	for _, n := range []int{0, 1, 100, 3, 0, 1000} {
		all := entries(rng, n)
		for _, e := range all {
			entrytest.Append(b, e)
		}
		if b.Len() != n {
			t.Errorf("the builder has %d entries, want %d", b.Len(), n)
		}
		batches, contents = append(batches, b.Batch()), append(contents, all)
	}
	for i, batch := range batches { // the builder went on meanwhile
		all := contents[i]
		expect(t, batch, all)
		from := rng.IntN(len(all) + 1)
		to := from + rng.IntN(len(all)-from+1)
		slice := batch.Slice(from, to)
		expect(t, slice, all[from:to])
		rec := slice.Record()
		batch.Release()
		slice.Release()
		expectRecord(t, rec, all[from:to])
	}
	expect(t, entry.Batch{}, nil)
	expect(t, entry.Batch{}.Slice(0, 0), nil)
	expect(t, entrytest.Batch(contents[2]...), contents[2])
}

func TestPrepend(t *testing.T) {
	b := entry.NewBuilder()
	b.Prepend("root/", "s3://b/")
	b.Append([]byte("k"), []byte("a/k"), []byte("e"), 1, 2)
	b.Prepend("root", "")
	b.Append(nil, []byte("x"), nil, 3, 4)
	expect(t, b.Batch(), []entry.Entry{
		{Key: "root/k", Address: "s3://b/a/k", ETag: "e", Size: 1, ModTime: time.Unix(0, 2).UTC()},
		{Key: "root", Address: "x", Size: 3, ModTime: time.Unix(0, 4).UTC()},
	})
}

// TestRelease checks that memory is used again, but not as long as anything
// refers to it.
func TestRelease(t *testing.T) {
	all := entries(rand.New(rand.NewPCG(5, 5)), 50)
	other := slices.Clone(all)
	slices.Reverse(other)
	batch := entrytest.Batch(all...)
	slice, rec := batch.Slice(0, 10), batch.Record()
	batch.Release()
	var more []entry.Batch
	for range 20 {
		more = append(more, entrytest.Batch(other...))
	}
	expect(t, slice, all[:10])
	slice.Release()
	for range 20 {
		more = append(more, entrytest.Batch(other...))
	}
	expectRecord(t, rec, all)
	for _, b := range more {
		expect(t, b, other)
	}
	var last *byte
	for range 1000 { // a pool may be emptied, or be another processor's, at any time
		b := entrytest.Batch(other...)
		if &b.Key(0)[0] == last {
			return
		}
		last = &b.Key(0)[0]
		b.Release()
	}
	t.Error("memory that was released is not used again")
}

func TestReleaseTwice(t *testing.T) {
	batch := entrytest.Batch(entries(rand.New(rand.NewPCG(6, 6)), 1)...)
	batch.Release()
	defer func() {
		if recover() == nil {
			t.Error("a batch was released twice")
		}
	}()
	batch.Release()
}

func TestSliceBounds(t *testing.T) {
	half := entrytest.Batch(entries(rand.New(rand.NewPCG(1, 1)), 10)...).Slice(0, 5)
	for _, bounds := range [][2]int{{-1, 2}, {3, 2}, {0, 6}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("slice %v of 5 entries", bounds)
				}
			}()
			half.Slice(bounds[0], bounds[1])
		}()
	}
}

func BenchmarkBuilder(b *testing.B) {
	const n = 1000
	key := []byte("date=2024-05-06/hour=07/part-00000000-0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e5f6")
	etag := []byte(strings.Repeat("e", 32))
	builder := entry.NewBuilder()
	builder.Prepend("data/", "s3://bucket/")
	b.ReportAllocs()
	for b.Loop() {
		for i := range int64(n) {
			builder.Append(key, key, etag, i, i)
		}
		builder.Batch().Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
}
