package table_test

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// BenchmarkWriter writes entries like those of a hive-partitioned table into
// ranges of 50,000: with AddEntry, with Add, which copies a value once more, and with
// pebble's writer; ns/op and allocs/op are per entry.
func BenchmarkWriter(b *testing.B) {
	const perRange = 50_000
	batch := hive(perRange)
	defer batch.Release()
	identities := table.Identities(nil, batch)
	var value []byte
	for _, by := range []struct {
		name string
		add  func(w *table.Writer, i int) error
	}{
		{"AddEntry", func(w *table.Writer, i int) error { return w.AddEntry(batch, i, identities[i]) }},
		{"Add", func(w *table.Writer, i int) error {
			value = table.AppendEntryValue(value[:0], batch, i, identities[i])
			return w.Add(batch.Key(i), value)
		}},
	} {
		b.Run(by.name, func(b *testing.B) {
			w := table.NewWriter(table.Ranges)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i == perRange {
					tab := w.Close()
					i = 0
					w.Reset(tab.Data)
				}
				if err := by.add(w, i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("pebble", func(b *testing.B) {
		w := newTwin(table.Ranges, nil)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i == perRange {
				i = 0
				w = newTwin(table.Ranges, w.close(b).Data)
			}
			value = table.AppendEntryValue(value[:0], batch, i, identities[i])
			w.add(b, batch.Key(i), value)
		}
		w.close(b)
	})
}

// BenchmarkAppendEntryValue encodes one entry's value, its identity hash
// included.
func BenchmarkAppendEntryValue(b *testing.B) {
	batch := hive(1000)
	defer batch.Release()
	var value []byte
	var identities []table.Identity
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i %= batch.Len(); i == 0 {
			identities = table.Identities(identities[:0], batch)
		}
		value = table.AppendEntryValue(value[:0], batch, i, identities[i])
	}
	b.SetBytes(int64(len(value)))
}

// BenchmarkReader reads a range of 50,000 entries, with this package's reader, also
// with its ID verified, and with pebble's; ns/op and allocs/op are per range.
func BenchmarkReader(b *testing.B) {
	batch := hive(50_000)
	defer batch.Release()
	tab := rangeOf(b, batch)
	read := func(b *testing.B, records func(r *table.Reader) iter.Seq2[table.Record, error]) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := table.NewReader(tab.Data)
			if err != nil {
				b.Fatal(err)
			}
			for _, err := range records(r) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("ours", func(b *testing.B) {
		read(b, func(r *table.Reader) iter.Seq2[table.Record, error] { return r.From(b.Context(), "") })
	})
	b.Run("verified", func(b *testing.B) {
		read(b, func(r *table.Reader) iter.Seq2[table.Record, error] { return r.All(b.Context(), tab.Meta.ID) })
	})
	b.Run("pebble", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			eachByTwin(b, tab.Data, nil, func([]byte, []byte) {})
		}
	})
}

// BenchmarkSeek finds a record of a range of 50,000 entries that is open.
func BenchmarkSeek(b *testing.B) {
	batch := hive(50_000)
	defer batch.Release()
	r, err := table.NewReader(rangeOf(b, batch).Data)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c, err := r.Cursor(b.Context(), string(batch.Key(i*7919%batch.Len())))
		if err != nil || c.Done() {
			b.Fatal(err)
		}
	}
}

// hive returns n entries of a hive-partitioned table.
func hive(n int) entry.Batch {
	b := entry.NewBuilder()
	for i := range n {
		key := fmt.Sprintf("collections/year=%d/month=%02d/day=%02d/part-%05d-%016x.snappy.parquet",
			2000+i/8400, i/700%12+1, i/25%28+1, i, uint64(i)*0x9e3779b97f4a7c15)
		entrytest.Append(b, entry.Entry{
			Key:     key,
			Address: "s3://source/production/" + key,
			ETag:    fmt.Sprintf("%032x", uint64(i)*0xbf58476d1ce4e5b9),
			Size:    int64(i) * 1237,
			ModTime: time.Unix(1_715_509_230, 0),
		})
	}
	return b.Batch()
}
