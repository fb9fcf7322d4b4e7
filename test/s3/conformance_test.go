// Package s3_test runs the product's S3 store against real servers.
package s3_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/retry"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/objectstore/storetest"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// ceph is the gateway that all tests of the package share.
var ceph s3test.Server

func TestMain(m *testing.M) {
	server, stop, err := s3test.Ceph()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ceph = server
	code := m.Run()
	stop()
	os.Exit(code)
}

func TestEmbedded(t *testing.T) {
	server := s3test.Embedded(t)
	storetest.Run(t, func(t *testing.T) storetest.Harness { return harness(t, server, 0) })
}

func TestCeph(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness { return harness(t, ceph, 0) })
}

// TestSmallPages runs the suite with small pages, so that listings have many of them.
func TestSmallPages(t *testing.T) {
	for name, server := range map[string]s3test.Server{"embedded": s3test.Embedded(t), "ceph": ceph} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Harness { return harness(t, server, 16) })
		})
	}
}

// TestAsOpened runs the suite with the decorators of the programs: metrics, retries and reading
func TestAsOpened(t *testing.T) {
	for name, server := range map[string]s3test.Server{"embedded": s3test.Embedded(t), "ceph": ceph} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				cfg := server.Config()
				cfg.PageKeys = 16
				opener, err := stores.New(stores.Config{S3: cfg}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				open := func(bucket string) objectstore.Store {
					store, err := opener.Open(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: bucket})
					if err != nil {
						t.Fatal(err)
					}
					return store
				}
				return storetest.Harness{Store: open(newBucket(t, server)), Missing: open("no-such-bucket-here")}
			})
		})
	}
}

// TestRefused checks that errors contain S3's message. The Versity gateway answers requests of an
// unknown user with 404, which must not mean that the object does not exist.
func TestRefused(t *testing.T) {
	unknown := func(c *s3store.Config) { c.AccessKeyID = "nobody" }
	wrong := func(c *s3store.Config) { c.SecretAccessKey += "x" }
	versity := s3test.Versity(t)
	for _, tc := range []struct {
		name   string
		server s3test.Server
		spoil  func(*s3store.Config)
		words  string
	}{
		{"unknown key of ceph", ceph, unknown, "InvalidAccessKeyId"},
		{"wrong secret of ceph", ceph, wrong, "SignatureDoesNotMatch"},
		{"unknown key of versitygw", versity, unknown, "XAdminUserNotFound"},
		{"wrong secret of versitygw", versity, wrong, "SignatureDoesNotMatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := tc.server.Config()
			tc.spoil(&cfg)
			store := open(t, cfg, newBucket(t, tc.server))
			_, errStat := store.Stat(t.Context(), "x")
			_, errGet := store.Get(t.Context(), "x", 1<<20)
			errPut := store.Put(t.Context(), "x", []byte("x"), objectstore.Sum{})
			for page, err := range store.List(t.Context(), "", "", objectstore.ListOptions{}) {
				expectRefused(t, err, tc.words, cfg)
				if len(page) > 0 {
					t.Errorf("listed %d objects", len(page))
				}
			}
			for _, err := range []error{errStat, errGet, errPut} {
				expectRefused(t, err, tc.words, cfg)
			}
		})
	}
}

func expectRefused(t *testing.T, err error, words string, cfg s3store.Config) {
	t.Helper()
	if !errors.Is(err, objectstore.ErrRefused) || !strings.Contains(err.Error(), words) {
		t.Errorf("error %v, want ErrRefused with %s", err, words)
	}
	if err != nil && strings.Contains(err.Error(), cfg.SecretAccessKey) {
		t.Errorf("error %v holds the secret", err)
	}
}

// harness returns a new bucket, and one that does not exist.
func harness(t *testing.T, server s3test.Server, pageKeys int) storetest.Harness {
	cfg := server.Config()
	cfg.PageKeys = pageKeys
	return storetest.Harness{Store: open(t, cfg, newBucket(t, server)), Missing: open(t, cfg, "no-such-bucket-here")}
}

func open(t *testing.T, cfg s3store.Config, bucket string) objectstore.Store {
	t.Helper()
	client, err := s3store.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	store, err := client.Bucket(bucket)
	if err != nil {
		t.Fatal(err)
	}
	return retry.New(nil).Wrap(store)
}

var buckets atomic.Int64

// bucketName returns a name that no other bucket has, in this run of the tests or another.
func bucketName() string {
	return fmt.Sprintf("test-%d-%d-%d", os.Getpid(), time.Now().UnixNano(), buckets.Add(1))
}

// newBucket creates a bucket.
func newBucket(t *testing.T, server s3test.Server) string {
	t.Helper()
	name := bucketName()
	if err := server.CreateBucket(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCephIsNotAsked checks that a listing of keys with escapes makes one LIST: the encoding of
// keys by Ceph is known, so no LIST asks for it.
func TestCephIsNotAsked(t *testing.T) {
	target, err := url.Parse(ceph.Endpoint)
	expect.NoError(t, err)
	var lists atomic.Int64
	gateway := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the signature includes the host
	}}
	counting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("list-type") == "2" {
			lists.Add(1)
		}
		gateway.ServeHTTP(w, r)
	}))
	defer counting.Close()
	bucket, keys := newBucket(t, ceph), []string{"a b", "a%20b", "a+b", "c=d/é"}
	slices.Sort(keys)
	expect.NoError(t, ceph.Load(t.Context(), bucket, keys))
	cfg := ceph.Config()
	cfg.Endpoint = counting.URL
	var got []string
	for page, err := range open(t, cfg, bucket).List(t.Context(), "", "", objectstore.ListOptions{}) {
		expect.NoError(t, err)
		for _, o := range page {
			got = append(got, string(o.Key))
		}
	}
	if !slices.Equal(got, keys) || lists.Load() != 1 {
		t.Errorf("listed %q by %d LISTs, want %q by one", got, lists.Load(), keys)
	}
}
