package changes_test

import (
	"net/http/httptest"
	"testing"

	"github.com/rangefleet/rangefleet/bench/changes"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

func TestMeasure(t *testing.T) {
	const pages = 60
	server := httptest.NewServer(synths3.New(synths3.Config{Buckets: []string{"ns"}}))
	defer server.Close()
	r, err := changes.Measure(t.Context(), "hive-1m", pages, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	want := metarange.Changes{Replaced: int64(r.Differ), Unchanged: int64(pages*1000 - r.Differ)}
	if r.Changes != want || r.Differ < 2 || r.Differ > r.Ranges/10+1 {
		t.Errorf("%d of %d ranges differ: %+v, want %+v", r.Differ, r.Ranges, r.Changes, want)
	}
	if r.Import.CPU <= 0 || r.Compare.CPU <= 0 {
		t.Errorf("nothing was measured: %+v", r)
	}
}
