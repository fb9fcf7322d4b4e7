package metarange_test

import (
	"errors"
	"iter"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// recordsOf yields the records of entries, and then an error unless it is nil.
func recordsOf(entries []entry.Entry, last error) iter.Seq2[table.Record, error] {
	return func(yield func(table.Record, error) bool) {
		for _, e := range entries {
			if !yield(table.Record{Key: []byte(e.Key), Value: rangetest.Value(e)}, nil) {
				return
			}
		}
		if last != nil {
			yield(table.Record{}, last)
		}
	}
}

// Records of entries make the tree that an import makes of them.
func TestWriteRecords(t *testing.T) {
	rng := seeded.Rand(t)
	for _, n := range []int{0, 1, 10, 500} {
		entries := entrytest.Random(rng, n)
		breaks := partition.Breaks{MaxSize: 2000, Raggedness: 50}
		ranges, err := rangetest.Ranges(entries, breaks)
		expect.NoError(t, err)
		want, err := metarange.Write(t.Context(), newMemory(), ranges)
		expect.NoError(t, err)
		files := newMemory()
		got, err := metarange.WriteRecords(t.Context(), files, breaks, recordsOf(entries, nil))
		if err != nil || got != want || len(files.data) != len(ranges)+1 {
			t.Errorf("%d records: %s, %v, %d files, want %s, %d", n, got, err, len(files.data), want, len(ranges)+1)
		}
		lost := errors.New("lost")
		if _, err := metarange.WriteRecords(t.Context(), newMemory(), breaks, recordsOf(entries, lost)); !errors.Is(err, lost) {
			t.Errorf("%d records and an error: %v", n, err)
		}
	}
}
