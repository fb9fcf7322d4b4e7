package metarange_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// BenchmarkCompare compares trees all of whose ranges differ; ns/op is per key of both.
func BenchmarkCompare(b *testing.B) {
	const keys = 20_000
	breaks := partition.Breaks{MaxSize: 20 << 20, Raggedness: 2000}
	tree := records{}
	for i := range keys {
		tree[fmt.Sprintf("collections/year=%d/month=%02d/part-%05d-%016x.snappy.parquet", 2000+i/8400, i/700%12+1, i, uint64(i)*0x9e3779b97f4a7c15)] = strings.Repeat("v", 140)
	}
	files := newMemory()
	before := tree.ranges(b, files, breaks)
	other := maps.Clone(tree)
	for _, r := range before {
		other[r.MinKey] += "!"
	}
	after := other.ranges(b, files, breaks)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compare(b.Context(), files, before, after); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*keys), "ns/record")
}
