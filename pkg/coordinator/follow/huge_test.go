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

// BenchmarkMillionRanges folds the covers of an import of about 5 * 10^10 objects and
// makes its metarange, as a coordinator does, within the memory that a coordinator is
// held to. Run it alone, since it reports the peak of the process.
func BenchmarkMillionRanges(b *testing.B) {
	const n, workers = 1_000_000, 100
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(208 << 20))
	for range b.N {
		p := newProgress(newMetrics(nil), nil, nil)
		for i := range n / workers {
			for w := range workers {
				p.add(millionth(w*(n/workers)+i, n))
			}
			if i%100 == 0 {
				p.Fold()
			}
		}
		fold, _ := p.Fold()
		if !fold.Complete() || fold.Ranges != n {
			b.Fatalf("%d ranges, gaps %v", fold.Ranges, fold.Gaps)
		}
		ranges := func(yield func(partition.RangeMetadata, error) bool) {
			for r := range fold.All() {
				if !yield(r, nil) {
					return
				}
			}
		}
		files := &sink{}
		tree := metarange.Replace(b.Context(), files, partition.DefaultBreaks, metarange.List(nil), ranges, metarange.Removed{Prefixes: []string{""}})
		if _, err := metarange.WriteAll(b.Context(), files, tree, fold.Ranges); err != nil {
			b.Fatal(err)
		}
		_, size := p.size()
		b.ReportMetric(float64(size)/(1<<20), "MiB/covers")
		b.ReportMetric(float64(files.bytes)/(1<<20), "MiB/metarange")
		runtime.KeepAlive(p)
	}
	b.ReportMetric(peakMiB(b), "MiB/peak")
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
	if i == n-1 {
		c.Upto = ""
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
