package rangewriter_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// memory is a store of files in memory.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (m *memory) Put(_ context.Context, id string, data []byte, sum objectstore.Sum) error {
	if sum != sha256.Sum256(data) {
		return fmt.Errorf("range %s comes with the sum %x", id, sum)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[string][]byte{}
	}
	m.files[id] = bytes.Clone(data)
	return nil
}

// putFunc is a store that is one function.
type putFunc func(ctx context.Context, id string, data []byte) error

func (f putFunc) Put(ctx context.Context, id string, data []byte, _ objectstore.Sum) error {
	return f(ctx, id, data)
}

func collect(to *[]partition.RangeMetadata) func(partition.RangeMetadata) error {
	return func(r partition.RangeMetadata) error {
		*to = append(*to, r)
		return nil
	}
}

// write writes entries in batches of random sizes and returns the ranges as
// they were reported.
func write(t *testing.T, files rangewriter.Files, entries []entry.Entry, breaks partition.Breaks, rng *rand.Rand) []partition.RangeMetadata {
	t.Helper()
	var ranges []partition.RangeMetadata
	w := rangewriter.New(t.Context(), files, breaks, rangewriter.Options{Uploads: 1 + rng.IntN(4), Stored: collect(&ranges)})
	defer w.Close()
	for len(entries) > 0 {
		n := rng.IntN(min(len(entries), 1500) + 1)
		expect.NoError(t, w.Write(entrytest.Batch(entries[:n]...)))
		entries = entries[n:]
	}
	expect.NoError(t, w.Flush())
	return ranges
}

// writeInPieces writes entries with several writers, each of which begins after
// the last range of the one before it.
func writeInPieces(t *testing.T, entries []entry.Entry, breaks partition.Breaks, rng *rand.Rand) []partition.RangeMetadata {
	t.Helper()
	var ranges []partition.RangeMetadata
	for len(entries) > 0 {
		w := rangewriter.New(t.Context(), &memory{}, breaks, rangewriter.Options{Uploads: 2, Stored: collect(&ranges)})
		for again := true; again && len(entries) > 0; again = rng.IntN(3) > 0 {
			n, _, err := w.WriteRange(t.Context(), entrytest.Batch(entries...))
			expect.NoError(t, err)
			entries = entries[n:]
		}
		expect.NoError(t, w.Flush())
		w.Close()
	}
	return ranges
}

// naive is the twin: one table after the other.
func naive(t *testing.T, entries []entry.Entry, breaks partition.Breaks) []partition.RangeMetadata {
	t.Helper()
	var ranges []partition.RangeMetadata
	var w *table.Writer
	for i, e := range entries {
		if w == nil {
			w = table.NewWriter(table.Ranges)
		}
		expect.NoError(t, w.Add([]byte(e.Key), rangetest.Value(e)))
		if size := w.EstimatedSize(); i == len(entries)-1 || size >= breaks.MaxSize || breaks.Anchor([]byte(e.Key)) {
			tab := w.Close()
			ranges, w = append(ranges, tab.Meta), nil
		}
	}
	return ranges
}

func sameRecords(t *testing.T, a, b []byte) bool {
	t.Helper()
	return slices.EqualFunc(records(t, a), records(t, b), func(a, b table.Record) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
	})
}

func records(t *testing.T, data []byte) []table.Record {
	t.Helper()
	r, err := table.NewReader(data)
	expect.NoError(t, err)
	var all []table.Record
	for rec, err := range r.From(context.Background(), "") {
		expect.NoError(t, err)
		all = append(all, table.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
	}
	return all
}
