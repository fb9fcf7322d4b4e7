package synths3_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/retry"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
)

func open(t *testing.T, endpoint, bucket string) objectstore.Store {
	t.Helper()
	c, err := s3store.New(t.Context(), s3store.Config{
		Endpoint: endpoint, Region: "us-east-1", ForcePathStyle: true, AccessKeyID: "key", SecretAccessKey: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Bucket(bucket)
	if err != nil {
		t.Fatal(err)
	}
	return retry.New(nil).Wrap(b)
}

// The product's store reads the objects of keys of every shape.
func TestStoreReadsEveryShape(t *testing.T) {
	_, base := start(t, synths3.Config{})
	for _, shape := range keyset.Names() {
		const n = 2500
		set, err := keyset.New(shape, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		i := int64(0)
		for page, err := range open(t, base, fmt.Sprintf("%s-%d", shape, n)).List(t.Context(), "", "", objectstore.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, listed := range page {
				o, want := listed.Object(), set.Object(i)
				if o.Key != set.Key(i) || o.Size != want.Size || !o.ModTime.Equal(time.UnixMilli(want.ModTime)) ||
					o.ETag != fmt.Sprintf("%016x%016x", want.Hash[0], want.Hash[1]) {
					t.Fatalf("%s: object %d is %+v", shape, i, o)
				}
				i++
			}
		}
		if i != n {
			t.Errorf("%s: %d objects, want %d", shape, i, n)
		}
	}
}

func TestStoreKeepsObjects(t *testing.T) {
	_, base := start(t, synths3.Config{Buckets: []string{"ns"}, KeepBytes: 1 << 20})
	b := open(t, base, "ns")
	if err := b.Put(t.Context(), "a b/+ü", []byte("content"), objectstore.Sum{}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), "a b/+ü", 1<<20); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	if o, err := b.Stat(t.Context(), "a b/+ü"); err != nil || o.Size != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := b.Get(t.Context(), "none", 1<<20); !errors.Is(err, objectstore.ErrNotFound) {
		t.Error(err)
	}
}

// A store with retries lists all keys though the server lets calls fail.
func TestStoreSurvivesFaults(t *testing.T) {
	s, base := start(t, synths3.Config{})
	f := synths3.Faults{Seed: 3, List: synths3.Call{SlowDown: 0.1, Reset: 0.05, Cut: 0.05}}
	if err := s.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	n := 0
	for page, err := range open(t, base, "uuid-20k").List(t.Context(), "", "", objectstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(page)
	}
	c := s.Counters()
	if failed := c.SlowDowns + c.Resets + c.Cuts; n != 20_000 || failed == 0 {
		t.Errorf("%d keys, counters %+v", n, c)
	}
}

// Whatever a store does wrong, a listing returns all keys in order, or an error.
func TestNoQuirkLosesKeys(t *testing.T) {
	const bucket = "awkward-20k"
	set, ok := keyset.Parse(bucket)
	if !ok {
		t.Fatal("the name of the set is invalid")
	}
	for _, quirk := range synths3.Quirks() {
		for _, share := range []float64{0, 0.1} { // 0 means all pages
			t.Run(fmt.Sprintf("%s of %v", quirk, share), func(t *testing.T) {
				t.Parallel()
				s, base := start(t, synths3.Config{})
				if err := s.SetFaults(synths3.Faults{Seed: 1, Quirks: []synths3.Quirk{quirk}, QuirkShare: share}); err != nil {
					t.Fatal(err)
				}
				keys, err := listAll(t, base, bucket)
				for i, key := range keys {
					if key != set.Key(int64(i)) {
						t.Fatalf("key %d is %q, want %q", i, key, set.Key(int64(i)))
					}
				}
				if err == nil && int64(len(keys)) != set.Len() {
					t.Errorf("%d keys and no error, want %d keys", len(keys), set.Len())
				}
			})
		}
	}
}

// listAll lists a bucket in the way of a worker.
func listAll(t *testing.T, base, bucket string) (keys []string, err error) {
	t.Helper()
	all, err := stores.New(stores.Config{S3: s3store.Config{
		Endpoint: base, ForcePathStyle: true, AccessKeyID: "key", SecretAccessKey: "secret",
	}}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	store, err := all.Open(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range store.List(t.Context(), "", "", objectstore.ListOptions{}) {
		if err != nil {
			return keys, err
		}
		for i := range page {
			keys = append(keys, string(page[i].Key))
		}
	}
	return keys, nil
}

// discard is a response writer that discards everything.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkPage measures the server's work for a page of 1000 keys, without HTTP.
func BenchmarkPage(b *testing.B) {
	for _, shape := range keyset.Names() {
		b.Run(shape, func(b *testing.B) {
			s := synths3.New(synths3.Config{})
			req := httptest.NewRequest(http.MethodGet, "/"+shape+"-1m?list-type=2&encoding-type=url&start-after=0", nil)
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(discard{http.Header{}}, req)
			}
		})
	}
}
