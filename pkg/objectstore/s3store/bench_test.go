package s3store_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// BenchmarkListPage lists one page of 1000 keys again and again. Its server is
// in the same process, so that allocations are those of both.
func BenchmarkListPage(b *testing.B) {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "logs/dt%3D2025-06-07/part-" + strconv.Itoa(100_000+i) + "-0d1e2f3a.parquet"
	}
	body := result(true, encoded, keys...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bucket.ListPage(b.Context(), "", strings.Repeat("a", 50), func([]objectstore.Listed) {}); err != nil {
			b.Fatal(err)
		}
	}
}
