package stores_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
)

// cephStores returns stores of a server that says that it is Ceph.
func cephStores(t *testing.T, reg prometheus.Registerer) *stores.Stores {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Ceph Object Gateway (reef)")
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>a</Key>`+
				`<LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>e</ETag><Size>7</Size></Contents></ListBucketResult>`)
		}
	}))
	t.Cleanup(server.Close)
	s, err := stores.New(stores.Config{
		S3: s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "secret"},
	}, reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTrial opens a bucket to be tried, and checks that its pages are measured.
func TestTrial(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := cephStores(t, reg)
	bucket, err := s.Trial(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "bucket"})
	if err != nil || bucket.Store != "Ceph" || !bucket.Known || !bucket.Encodes {
		t.Fatalf("Trial = %+v, %v, want Ceph", bucket, err)
	}
	n := 0
	count := func(page []objectstore.Listed) { n += len(page) }
	if more, err := bucket.Pages.ListAfter(t.Context(), "", "0", 2, count); more || err != nil {
		t.Errorf("ListAfter = %t, %v", more, err)
	}
	if next, err := bucket.Pages.WalkPage(t.Context(), "", "", count); next != "" || err != nil {
		t.Errorf("WalkPage = %q, %v", next, err)
	}
	for name, want := range map[string]float64{
		"rangefleet_objectstore_request_duration_seconds": 2, "rangefleet_objectstore_objects_listed_total": 2,
	} {
		if got := measured.Sum(t, reg, name); got != want || n != 2 {
			t.Errorf("%s is %v after %d objects, want %v", name, got, n, want)
		}
	}
	for _, u := range []objectstore.URI{{Scheme: objectstore.SchemeLocal, Key: "d/"}, {Scheme: objectstore.SchemeS3, Bucket: "b--use1-az1--x-s3"}} {
		if _, err := s.Trial(t.Context(), u); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("Trial(%s): %v, want ErrRefused", u, err)
		}
	}
}
