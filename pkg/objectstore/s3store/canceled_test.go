package s3store_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// TestCanceledPagesAreNotLate stops waiting for pages, as a reader that has read enough does.
// Pages stay as large as they were.
func TestCanceledPagesAreNotLate(t *testing.T) {
	asked := make(chan struct{})
	first := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first { // shows the way to ask without the SDK
			first = false
			fmt.Fprint(w, result(true, encoded, "a"))
			return
		}
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	client, err := s3store.New(t.Context(), s3store.Config{
		Endpoint: server.URL, Region: "us-east-1", ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "secret",
		Resized: func(larger bool) { t.Errorf("pages were resized: larger %t", larger) },
	})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := client.Bucket("bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.ListPage(t.Context(), "", "", func([]objectstore.Listed) {}); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		if _, err := bucket.ListPage(ctx, "", "a", func([]objectstore.Listed) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("a page that was canceled: %v", err)
		}
		cancel()
	}
}
