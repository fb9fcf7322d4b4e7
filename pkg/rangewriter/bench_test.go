package rangewriter_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// BenchmarkWriter writes batches of 1,000 entries into ranges that are not stored.
// ns/op and allocs/op are per entry.
func BenchmarkWriter(b *testing.B) {
	shapes := map[string]func(i int) string{
		"hive": func(i int) string {
			return fmt.Sprintf("collections/year=%d/month=%02d/day=%02d/part-%05d-%016x.snappy.parquet",
				2000+i/8400, i/700%12+1, i/25%28+1, i, uint64(i)*0x9e3779b97f4a7c15)
		},
		"uuid": func(i int) string {
			return fmt.Sprintf("%08x-%04x-4%03x-%04x", i<<8, i*7919%65536, i*31%4096, i*104729%65536)
		},
		"unicode": func(i int) string { return fmt.Sprintf("données/été/%08d/überprüfung.json", i) },
	}
	for name, key := range shapes {
		b.Run(name, func(b *testing.B) { benchmark(b, key) })
	}
}

func benchmark(b *testing.B, key func(i int) string) {
	const perBatch = 1000
	var batches []entry.Batch
	for i := range 64 {
		batches = append(batches, batchOf(i*perBatch, perBatch, key))
	}
	nowhere := putFunc(func(context.Context, string, []byte) error { return nil })
	var buffers rangewriter.Buffers
	opts := rangewriter.Options{Uploads: 2, Buffers: &buffers}
	b.ReportAllocs()
	w := rangewriter.New(b.Context(), nowhere, partition.DefaultBreaks, opts)
	for i := 0; b.Loop(); i++ {
		if i%perBatch != 0 {
			continue
		}
		n := i / perBatch % len(batches)
		if n == 0 {
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			w.Close()
			w = rangewriter.New(b.Context(), nowhere, partition.DefaultBreaks, opts)
		}
		if err := w.Write(batches[n]); err != nil {
			b.Fatal(err)
		}
	}
	w.Close()
}

func batchOf(first, n int, key func(i int) string) entry.Batch {
	b := entry.NewBuilder()
	for i := first; i < first+n; i++ {
		entrytest.Append(b, entry.Entry{
			Key:     key(i),
			Address: "s3://source/production/" + key(i),
			ETag:    fmt.Sprintf("%016x%016x", uint64(i)*0xbf58476d1ce4e5b9, uint64(i)*0x94d049bb133111eb),
			Size:    int64(i) * 1237,
			ModTime: time.Unix(1_715_509_230+int64(i)*37, 0),
		})
	}
	return b.Batch()
}
