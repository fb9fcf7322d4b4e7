package follow

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// sink takes files and keeps nothing but the size of the last one.
type sink struct{ bytes int }

func (s *sink) Put(_ context.Context, _ string, data []byte, _ objectstore.Sum) error {
	s.bytes = len(data)
	return nil
}

func (s *sink) Get(context.Context, string) ([]byte, error) { return nil, os.ErrNotExist }

func (s *sink) GetRange(context.Context, string, int64, int64) ([]byte, int64, error) {
	return nil, 0, os.ErrNotExist
}

// TestMillionRanges folds the covers of an import of about 5 * 10^10 objects and makes its
// metarange, as a coordinator does.
func TestMillionRanges(t *testing.T) {
	if covers, _ := millionRanges(t); covers > 96<<20 {
		t.Errorf("the covers take %d bytes, want at most 96 MiB", covers)
	}
}

// BenchmarkMillionRanges does so within the memory that a coordinator is held to. Run it
// alone, since it reports the peak of the process.
func BenchmarkMillionRanges(b *testing.B) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(208 << 20))
	for range b.N {
		covers, tree := millionRanges(b)
		b.ReportMetric(float64(covers)/(1<<20), "MiB/covers")
		b.ReportMetric(float64(tree)/(1<<20), "MiB/metarange")
	}
	b.ReportMetric(peakMiB(b), "MiB/peak")
}

// millionRanges returns how many bytes a million covers take, and the metarange of their
// ranges.
func millionRanges(t testing.TB) (covers, tree int) {
	const n, workers = 1_000_000, 100
	p := newProgress(Config{Now: time.Now}, newMetrics(nil), nil, nil)
	for i := range n / workers {
		for w := range workers {
			p.add(millionth(w*(n/workers)+i, n))
		}
		if i%100 == 0 {
			p.Fold()
		}
	}
	p.add(partition.Cover{Span: partition.Span{After: millionth(n-1, n).Upto}})
	fold, _ := p.Fold()
	if !fold.Complete() || fold.Ranges != n {
		t.Fatalf("%d ranges, gaps %v", fold.Ranges, fold.Gaps)
	}
	files := &sink{}
	removed := metarange.Removed{Prefixes: []string{""}}
	merged, _, err := metarange.Land(t.Context(), files, partition.DefaultBreaks, "", fold, removed, nil, new(metarange.Changes))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metarange.WriteAll(t.Context(), files, merged, fold.Ranges); err != nil {
		t.Fatal(err)
	}
	_, covers = p.size()
	runtime.KeepAlive(p)
	return covers, files.bytes
}

// millionth is the i-th of n covers.
func millionth(i, n int) partition.Cover {
	key := func(i int) string {
		return fmt.Sprintf("warehouse/events/year=2026/month=%02d/day=%02d/part-%09d.snappy.parquet", 1+i*6/n, 1+i*168/n%28, i)
	}
	c := partition.Cover{Span: partition.Span{After: key(2 * i), Upto: key(2*i + 2)}, Range: &partition.RangeMetadata{
		ID:     fmt.Sprintf("%016x%016x%016x%016x", uint64(i+1)*0x9e3779b97f4a7c15, i, uint64(i+1)*0xbf58476d1ce4e5b9, i),
		MinKey: key(2*i + 1), MaxKey: key(2*i + 2), Count: 45_000 + int64(i%9973), EstimatedSize: 20<<20 + uint64(i%65537),
	}}
	if i == 0 {
		c.After = ""
	}
	return c
}

// peakMiB returns the peak of the resident memory of this process, in MiB.
func peakMiB(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			kib, err := strconv.Atoi(string(fields[1]))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	return 0
}
