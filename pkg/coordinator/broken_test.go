package coordinator

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// TestBrokenRecordsBlockNothing breaks the records of a repository and of a running import.
// They are counted, and other imports are accepted, run and end.
func TestBrokenRecordsBlockNothing(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	f.repository("broken", "s3://repo/broken")
	breakRecord := func(name, key string) {
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
	breakRecord(kv.BucketImports, "i."+bad)
	breakRecord(kv.BucketCatalog, "r.broken")
	f.run(s.Run)
	f.work(2)
	f.completed(f.start(s, request("", "good/")))
	if _, err := s.Status(t.Context(), "repo", bad); !fault.Is(err, fault.Broken) {
		t.Errorf("status of the broken import: %v", err)
	}
	for _, bucket := range []string{kv.BucketImports, kv.BucketCatalog} {
		expect.Eventually(t, "the metric counts it", func() bool {
			return measured.Sum(t, registry, "rangefleet_records_broken", bucket) == 1
		})
	}
	if err := s.CheckNamespace(t.Context(), "s3://repo/another"); err != nil {
		t.Errorf("another namespace: %v", err)
	}
	expect.NoError(t, s.DeleteRepository(t.Context(), "broken"))
}

func TestEachBrokenRecordIsLoggedOnce(t *testing.T) {
	var said transcript.Buffer
	b := brokenRecords{of: make(map[string]map[string]string), shown: newMetrics(prometheus.NewRegistry()).broken, log: slog.New(slog.NewTextHandler(&said, nil))}
	logged := 0
	for i, tc := range []struct {
		bucket string
		now    map[string]string
		added  int
	}{
		{"a", map[string]string{"1": "x"}, 1},
		{"a", map[string]string{"1": "x", "2": "x"}, 1},
		{"b", map[string]string{"1": "x"}, 1},
		{"a", map[string]string{"1": "y", "2": "x"}, 1},
		{"a", nil, 0},
		{"a", map[string]string{"1": "y"}, 1},
	} {
		b.note(tc.bucket, tc.now)
		if logged += tc.added; strings.Count(said.String(), "\n") != logged {
			t.Errorf("after look %d, the log is %q, want %d lines", i, said.String(), logged)
		}
	}
}
