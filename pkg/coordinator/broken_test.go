package coordinator

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// TestRecordsThatCannotBeDecodedBlockNothing spoils a repository and an import that runs.
// They are named, and other imports are accepted, run and end.
func TestRecordsThatCannotBeDecodedBlockNothing(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	f.repository("spoiled", "s3://repo/spoiled")
	spoil := func(name, key string) {
		bucket := f.backend.Bucket(name)
		_, rev, err := bucket.Get(t.Context(), key)
		expect.NoError(t, err)
		_, err = bucket.Update(t.Context(), key, []byte("{"), rev)
		expect.NoError(t, err)
	}
	registry := prometheus.NewRegistry()
	c := f.config
	c.Registerer = registry
	s := New(c)
	bad := f.start(s, request("", "bad/"))
	spoil(kv.BucketImports, "i."+bad)
	spoil(kv.BucketCatalog, "r.spoiled")
	f.run(s.Run)
	f.work(2)
	f.completed(f.start(s, request("", "good/")))
	if _, err := s.Status(t.Context(), "repo", bad); !fault.Is(err, fault.Broken) {
		t.Errorf("status of the spoiled one: %v", err)
	}
	for _, bucket := range []string{kv.BucketImports, kv.BucketCatalog} {
		expect.Eventually(t, "the metric shows it", func() bool {
			return measured.Sum(t, registry, "rangefleet_records_broken", bucket) == 1
		})
	}
	if err := s.CheckNamespace(t.Context(), "s3://repo/another"); err != nil {
		t.Errorf("a namespace beside: %v", err)
	}
	expect.NoError(t, s.DeleteRepository(t.Context(), "spoiled"))
}

func TestEachBrokenRecordIsToldOnce(t *testing.T) {
	var b brokenRecords
	for i, tc := range []struct {
		bucket string
		now    map[string]string
		news   int
	}{
		{"a", map[string]string{"1": "x"}, 1},
		{"a", map[string]string{"1": "x", "2": "x"}, 1},
		{"b", map[string]string{"1": "x"}, 1},
		{"a", map[string]string{"1": "y", "2": "x"}, 1},
		{"a", nil, 0},
		{"a", map[string]string{"1": "y"}, 1},
	} {
		if news := b.replace(tc.bucket, tc.now); len(news) != tc.news {
			t.Errorf("look %d: told %v, want %d", i, news, tc.news)
		}
	}
}
