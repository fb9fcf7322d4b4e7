package s3store_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// BenchmarkListPage requests one page of 1000 keys again and again, directly and through
// the SDK. Its server is in the same process, so that CPU and allocations are those of both.
func BenchmarkListPage(b *testing.B) {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "logs/dt%3D2025-06-07/part-" + strconv.Itoa(100_000+i) + "-0d1e2f3a.parquet"
	}
	body := result(true, encoded, keys...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if explained(w, r) {
			return
		}
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	client, err := s3store.New(b.Context(), s3store.Config{
		Endpoint: server.URL, Region: "r", ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s",
	})
	if err != nil {
		b.Fatal(err)
	}
	bucket, err := client.Bucket("bucket")
	if err != nil {
		b.Fatal(err)
	}
	after := strings.Repeat("a", 50)
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bucket.ListPage(b.Context(), "", after, func([]objectstore.Listed) {}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fresh, err := client.Bucket("bucket") // whose first page goes through the SDK
			if err != nil {
				b.Fatal(err)
			}
			if _, err := fresh.ListPage(b.Context(), "", after, func([]objectstore.Listed) {}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkList lists a page of 1000 keys: HTTP, the server's part included, and
// the SDK's, decoding and checks.
func BenchmarkList(b *testing.B) {
	const n = 1000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("data/date%%3D2024-05-06/hour%%3D07/part-%08d-0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e", i)
	}
	body := []byte(result(false, encoded, keys...))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if explained(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write(body)
	}))
	defer server.Close()
	client, err := s3store.New(b.Context(), s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s"})
	if err != nil {
		b.Fatal(err)
	}
	store, err := client.Bucket("bucket")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		listed := 0
		for page, err := range store.List(b.Context(), "", "", objectstore.ListOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			listed += len(page)
		}
		if listed != n {
			b.Fatalf("listed %d keys", listed)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
}

// explained answers a call that asks how keys are written: as queries are.
func explained(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Query().Get("max-keys") != "10" {
		return false
	}
	fmt.Fprint(w, result(false, encoded, strings.ReplaceAll(url.QueryEscape(r.URL.Query().Get("prefix")), "%2F", "/")))
	return true
}
