package stage_test

import (
	"net/http/httptest"
	"testing"

	"github.com/rangefleet/rangefleet/bench/stage"
	"github.com/rangefleet/rangefleet/bench/synths3"
)

// Every stage processes its pages twice without an error.
func TestStages(t *testing.T) {
	s := synths3.New(synths3.Config{Buckets: []string{"ns"}})
	server := httptest.NewServer(s)
	defer server.Close()
	const pages = 3
	in, err := stage.NewInput(t.Context(), "hive-3000", pages, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range stage.All() {
		step, err := st.New(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 * pages {
			if err := step(i % pages); err != nil {
				t.Errorf("%s: %v", st.Name, err)
			}
		}
	}
	// Fetch and walk list the pages twice. One more LIST asks whether the server encodes keys.
	const lists, asked = 2 * 2 * pages, 3
	if c := s.Counters(); c.Calls["put"] == 0 || c.Calls["list"] < lists || c.Calls["list"] > lists+asked {
		t.Errorf("remote stages made calls %v", c.Calls)
	}
	if _, err := stage.NewInput(t.Context(), "hive-1000", pages, ""); err == nil {
		t.Error("3 pages of a set of 1000 keys were accepted")
	}
}

// BenchmarkStages has a benchmark for every stage. One operation is a page of 1000 objects.
// In fetch and upload, the cost of the server is included.
func BenchmarkStages(b *testing.B) {
	const pages = 100
	server := httptest.NewServer(synths3.New(synths3.Config{Buckets: []string{"ns"}}))
	defer server.Close()
	in, err := stage.NewInput(b.Context(), "hive-1m", pages, server.URL)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range stage.All() {
		b.Run(s.Name, func(b *testing.B) {
			step, err := s.New(b.Context(), in)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := step(i % pages); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/stage.PageKeys, "ns/object")
		})
	}
}
