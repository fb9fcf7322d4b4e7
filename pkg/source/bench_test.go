package source_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// canned is a bucket that lists the same pages every time, at no cost.
type canned struct {
	bucket
	pages [][]objectstore.Listed
}

func (c *canned) OpenSource(context.Context, objectstore.URI, bool) (objectstore.Store, error) {
	return c, nil
}

func (c *canned) List(context.Context, string, string, objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		for _, page := range c.pages {
			if !yield(page, nil) {
				return
			}
		}
	}
}

// BenchmarkSource lists 100 pages of 1000 keys as batches of entries.
func BenchmarkSource(b *testing.B) {
	const pages, n = 100, 1000
	var c canned
	for p := range pages {
		page := make([]objectstore.Listed, n)
		for i := range page {
			page[i] = objectstore.Object{
				Key:  fmt.Sprintf("data/date=2024-05-06/hour=07/part-%08d-0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e", p*n+i),
				ETag: fmt.Sprintf("%032x", i), Size: int64(i),
			}.Listed()
		}
		c.pages = append(c.pages, page)
	}
	s, err := source.Open(b.Context(), &c, []imports.Path{prefix("s3://b/data/", "data")}, objectstore.Parallel)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		listed := 0
		for batch, err := range s.List(b.Context(), "", objectstore.ListOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			listed += batch.Len()
		}
		if listed != pages*n {
			b.Fatalf("listed %d keys", listed)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pages/n, "ns/key")
}
