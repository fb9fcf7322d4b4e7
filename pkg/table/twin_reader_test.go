package table_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/objstorage"
	"github.com/cockroachdb/pebble/sstable"

	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Whatever the records, they are read as pebble reads them, from any key on.
func TestReadAsByTheTwin(t *testing.T) {
	rng := seeded.Rand(t)
	compareReaders(t, rng, tableOf(t, table.Ranges))
	for range 3 {
		compareReaders(t, rng, tableOf(t, table.Ranges, randomRecords(rng, 20_000)...)) // an index of several parts
		for range 100 {
			compareReaders(t, rng, tableOf(t, table.Metaranges, randomRecords(rng, rng.IntN(400))...))
		}
	}
}

// Files that a lakeFS server made are read as pebble reads them, and have the IDs
// by which they are stored.
func TestGoldenFilesAreReadAsByTheTwin(t *testing.T) {
	rng := seeded.Rand(t)
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		for id, data := range l.Files {
			var file table.Table
			file.Meta.ID, file.Data = id, data
			compareReaders(t, rng, file)
		}
	}
}

// compareReaders reads a file with both readers.
func compareReaders(t *testing.T, rng *rand.Rand, file table.Table) {
	t.Helper()
	want := readByTwin(t, file.Data, nil)
	r := open(t, file.Data)
	var got []table.Record
	for rec, err := range r.All(t.Context(), file.Meta.ID) {
		if err != nil {
			t.Fatalf("table %s: %v", file.Meta.ID, err)
		}
		got = append(got, table.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
	}
	if !slices.EqualFunc(got, want, sameRecord) {
		t.Errorf("table %s: read %d records, want the %d of the twin", file.Meta.ID, len(got), len(want))
	}
	for range min(len(want), 20) {
		from := near(rng, want[rng.IntN(len(want))].Key)
		got, want := records(t, r, string(from)), readByTwin(t, file.Data, from)
		if !slices.EqualFunc(got, want, sameRecord) {
			t.Errorf("table %s from %q: read %d records, want the %d of the twin", file.Meta.ID, from, len(got), len(want))
		}
	}
}

// near returns a key, or one close to it.
func near(rng *rand.Rand, key []byte) []byte {
	key = bytes.Clone(key)
	switch rng.IntN(4) {
	case 0:
		return append(key, 0)
	case 1:
		return key[:rng.IntN(len(key)+1)]
	case 2:
		key[rng.IntN(len(key))]++
	}
	return key
}

// readByTwin returns the records from a key on, or all, as pebble reads them.
func readByTwin(t *testing.T, data, from []byte) (all []table.Record) {
	t.Helper()
	eachByTwin(t, data, from, func(key, value []byte) {
		all = append(all, table.Record{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	})
	return all
}

// eachByTwin calls f for the records from a key on, or all.
func eachByTwin(t testing.TB, data, from []byte, f func(key, value []byte)) {
	t.Helper()
	r, err := sstable.NewReader(readable(data), sstable.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it frees memory, nothing more
	it, err := r.NewIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close() //nolint:errcheck // reports only what Error reports
	key, lazy := it.First()
	if from != nil {
		key, lazy = it.SeekGE(from, 0)
	}
	for ; key != nil; key, lazy = it.Next() {
		value, _, err := lazy.Value(nil)
		if err != nil {
			t.Fatal(err)
		}
		f(key.UserKey, value)
	}
	if err := it.Error(); err != nil {
		t.Fatal(err)
	}
}

// readable is a file in memory, as pebble reads it.
type readable []byte

var _ objstorage.Readable = readable(nil)

func (r readable) ReadAt(_ context.Context, p []byte, off int64) error {
	if off < 0 || off > int64(len(r)) || copy(p, r[off:]) < len(p) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (r readable) Close() error { return nil }

func (r readable) Size() int64 { return int64(len(r)) }

func (r readable) NewReadHandle(context.Context) objstorage.ReadHandle {
	h := objstorage.MakeNoopReadHandle(r)
	return &h
}
