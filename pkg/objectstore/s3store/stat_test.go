package s3store_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// TestStatOfWhatIsNotListed asks stores for an object that they have and do not list, as
// MinIO does with small pages, and for one that is not there.
func TestStatOfWhatIsNotListed(t *testing.T) {
	for name, c := range map[string]struct {
		page  string
		there bool
		want  error
	}{
		"hidden by an empty page":    {result(false, ""), true, nil},
		"hidden by a longer key":     {result(true, next("t"), "key/longer"), true, nil},
		"not there":                  {result(false, ""), false, objectstore.ErrNotFound},
		"not there, longer ones are": {result(false, "", "key/longer"), false, objectstore.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodGet:
					fmt.Fprint(w, c.page)
				case !c.there || r.URL.Path != "/bucket/key":
					w.WriteHeader(http.StatusNotFound)
				default:
					w.Header().Set("Content-Length", "12")
					w.Header().Set("ETag", `"e"`)
					w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
				}
			}))
			defer server.Close()
			client, err := s3store.New(t.Context(), s3store.Config{
				Endpoint: server.URL, Region: "us-east-1", ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "secret",
			})
			if err != nil {
				t.Fatal(err)
			}
			store, err := client.Bucket("bucket")
			if err != nil {
				t.Fatal(err)
			}
			got, err := store.Stat(t.Context(), "key")
			if !errors.Is(err, c.want) {
				t.Fatalf("Stat = %+v, %v, want %v", got, err, c.want)
			}
			want := objectstore.Object{Key: "key", ETag: "e", Size: 12, ModTime: time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC)}
			if err == nil && got != want {
				t.Errorf("Stat = %+v, want %+v", got, want)
			}
		})
	}
}
