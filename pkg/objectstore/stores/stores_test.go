package stores_test

import (
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
)

func open(t *testing.T, cfg stores.Config, uri string) (objectstore.Store, error) {
	t.Helper()
	s, err := stores.New(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	u, err := objectstore.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	return s.Open(t.Context(), u)
}

func TestOpenLocal(t *testing.T) {
	dir := t.TempDir()
	allowed := filepath.Join(dir, "src")
	for _, d := range []string{allowed, allowed + "-evil"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cfg := stores.Config{LocalAllowed: []string{allowed}}
	for uri, want := range map[string]error{
		"local://" + allowed + "/":       nil,
		"local://" + allowed + "/new/ns": nil,
		"local://" + allowed:             nil,
		"local://" + allowed + "-":       objectstore.ErrRefused,
		"local://" + allowed + "-evil/x": objectstore.ErrRefused,
		"local://" + allowed + "-evil/":  objectstore.ErrRefused,
		"local://" + dir + "/":           objectstore.ErrRefused,
		"local:///":                      objectstore.ErrRefused,
	} {
		if store, err := open(t, cfg, uri); !errors.Is(err, want) || (store == nil) != (want != nil) {
			t.Errorf("Open(%s) = %v, %v, want %v", uri, store, err, want)
		}
	}
	if _, err := open(t, stores.Config{}, "local://"+allowed+"/"); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("with nothing allowed: %v, want ErrRefused", err)
	}
}

func TestNewNeedsItsDirectories(t *testing.T) {
	for _, dir := range []string{filepath.Join(t.TempDir(), "none"), "/dev/null"} {
		if _, err := stores.New(stores.Config{LocalAllowed: []string{dir}}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("New took %s as an allowed directory", dir)
		}
	}
}

// TestOpenS3 checks that buckets are decorated: the first call fails, the second one succeeds,
// and both show in the metrics.
func TestOpenS3(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Date", "no date")
		if r.URL.Query().Has("list-type") {
			_, _ = w.Write([]byte("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"))
			return
		}
		_, _ = w.Write([]byte("content"))
	}))
	defer server.Close()
	cfg := stores.Config{S3: s3store.Config{
		Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s",
	}}
	reg := prometheus.NewRegistry()
	var log transcript.Buffer
	s, err := stores.New(cfg, reg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	store, err := s.Open(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "bucket"})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := store.Get(t.Context(), "k", 1<<20); err != nil || string(body) != "content" || n != 2 {
		t.Errorf("Get = %q, %v after %d calls, want the content after 2", body, err, n)
	}
	if !strings.Contains(log.String(), "no date") {
		t.Errorf("what the SDK complains of is not in the log: %q", log.String())
	}
	for name, want := range map[string]float64{
		"rangefleet_objectstore_request_duration_seconds": 2, "rangefleet_objectstore_retries_total": 1,
	} {
		if got := measured.Sum(t, reg, name, "get"); got != want {
			t.Errorf("%s has %v GETs, want %v", name, got, want)
		}
	}
	testTelling(t, store, func() { n = 0 })
	if _, err := open(t, cfg, "s3://bucket--use1-az1--x-s3/"); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("directory bucket: %v, want ErrRefused", err)
	}
}

// testTelling has a function told of each repeated call of a store, which answers no call at first
// after fail.
func testTelling(t *testing.T, store objectstore.Store, fail func()) {
	t.Helper()
	var told []error
	telling := objectstore.Telling(store, func(cause error) { told = append(told, cause) })
	walker, ok := telling.(objectstore.Walker)
	if !ok {
		t.Fatal("the store cannot be walked any more")
	}
	read := func(pages iter.Seq2[[]objectstore.Listed, error]) error {
		for _, err := range pages {
			return err
		}
		return nil
	}
	for name, call := range map[string]func() error{
		"get":  func() error { _, err := telling.Get(t.Context(), "k", 1<<20); return err },
		"list": func() error { return read(telling.List(t.Context(), "", "", objectstore.ListOptions{})) },
		"walk": func() error { return read(walker.Walk(t.Context(), "", objectstore.ListOptions{})) },
	} {
		fail()
		told = nil
		if err := call(); err != nil || len(told) != 1 || !errors.Is(told[0], objectstore.ErrThrottled) {
			t.Errorf("%s: %v; told %v, want one throttled call", name, err, told)
		}
	}
}
