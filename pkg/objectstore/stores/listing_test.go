package stores_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
)

// TestListing chooses the mode of buckets by how their stores identify themselves.
func TestListing(t *testing.T) {
	const pacific = "tx000006ae9798560ae26ff-006b0cb5d1-1018-default" // Ceph 16.2.15 sends no Server header
	for name, c := range map[string]struct {
		status  int
		headers map[string]string
		setting objectstore.Mode
		want    objectstore.Mode
		why     string
	}{
		"Ceph Pacific":              {200, map[string]string{"X-Amz-Request-Id": pacific}, "", objectstore.Parallel, "Ceph"},
		"Ceph Reef":                 {200, map[string]string{"Server": "Ceph Object Gateway (reef)"}, "", objectstore.Parallel, "Ceph"},
		"Ceph, no such bucket":      {404, map[string]string{"X-Amz-Request-Id": pacific}, "", objectstore.Parallel, "Ceph"},
		"Ceph, access denied":       {403, map[string]string{"X-Amz-Request-Id": pacific}, "", objectstore.Parallel, "Ceph"},
		"Swift":                     {200, map[string]string{"X-Amz-Request-Id": "tx000006ae9798560ae26ff-006b0cb5d1"}, "", objectstore.Walk, "http://127.0.0.1"},
		"MinIO":                     {200, map[string]string{"Server": "MinIO", "X-Amz-Request-Id": "17F0B0E2A5C6C7A8"}, "", objectstore.Walk, "s3.listing"},
		"AWS, as someone else says": {200, map[string]string{"Server": "AmazonS3", "X-Amz-Request-Id": "0A49CE4060975EAC"}, "", objectstore.Walk, "rangectl doctor"},
		"nothing":                   {200, nil, "", objectstore.Walk, "s3.listing: parallel"},
		"MinIO, trusted":            {500, map[string]string{"Server": "MinIO"}, objectstore.Parallel, objectstore.Parallel, "s3.listing is parallel"},
		"Ceph, not trusted":         {500, map[string]string{"X-Amz-Request-Id": pacific}, objectstore.Walk, objectstore.Walk, "s3.listing is walk"},
		"a store that is away":      {500, map[string]string{"X-Amz-Request-Id": pacific}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodHead || r.URL.Path != "/bucket" {
					t.Errorf("asked %s %s, want HEAD of the bucket", r.Method, r.URL)
				}
				for k, v := range c.headers {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
			}))
			defer server.Close()
			s, err := stores.New(stores.Config{
				S3:      s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "secret"},
				Listing: c.setting,
			}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Listing(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "bucket", Key: "prefix/"})
			if got.Mode != c.want || (err != nil) != (c.want == "") || !strings.Contains(got.Why, c.why) {
				t.Errorf("Listing = %+v, %v, want %s because of %q", got, err, c.want, c.why)
			}
		})
	}
}

func TestListingOfDirectoriesAndAWSMakesNoCall(t *testing.T) {
	s, err := stores.New(stores.Config{
		S3: s3store.Config{Region: "us-east-1", AccessKeyID: "id", SecretAccessKey: "secret"}, Listing: "",
	}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []objectstore.URI{{Scheme: objectstore.SchemeS3, Bucket: "bucket"}, {Scheme: objectstore.SchemeLocal, Key: "d/"}} {
		if got, err := s.Listing(t.Context(), u); err != nil || got.Walks() {
			t.Errorf("Listing(%s) = %+v, %v, want parallel", u, got, err)
		}
	}
}

// A store that cannot be reached is not taken for an unknown one: the error is transient.
func TestListingOfAnUnreachableStore(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s, err := stores.New(stores.Config{
		S3: s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "secret"},
	}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Listing(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "bucket"})
	if err == nil || objectstore.Permanent(err) {
		t.Errorf("Listing = %+v, %v, want a transient error", got, err)
	}
}
