package s3store_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// ways are the ways in which the first page of a test is requested: through the SDK, as the
// first page of a bucket is, and without it, as those after an empty page are.
var ways = map[string]struct {
	list  func(t *testing.T, s objectstore.Store, prefix, after string) ([]string, error)
	first []string // pages before those of a test
}{
	"with the SDK":    {list: list},
	"without the SDK": {list: listPages, first: []string{result(false, "")}},
}

// listPages lists an empty page, then all that list lists, in single pages.
func listPages(t *testing.T, s objectstore.Store, prefix, after string) (keys []string, err error) {
	t.Helper()
	p := s.(objectstore.Pager)
	take := func(page []objectstore.Listed) {
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
	}
	if _, err := p.ListPage(t.Context(), "", "", take); err != nil || len(keys) > 0 {
		t.Fatalf("the page before listed %q, %v", keys, err)
	}
	for more := true; more; {
		if more, err = p.ListPage(t.Context(), prefix, after, take); err != nil {
			return keys, err
		}
		if len(keys) > 0 {
			after = keys[len(keys)-1]
		}
	}
	return keys, nil
}

// TestDirect checks which pages are asked for without the SDK, and that they
// ask for the same.
func TestDirect(t *testing.T) {
	f, store := start(t, func(c *s3store.Config) { c.PageKeys = 7 },
		result(false, ""), result(true, "", "p&amp;=+ é/a"), "403 AccessDenied", result(false, "", "p&amp;=+ é/b"), result(false, ""))
	if keys, err := listPages(t, store, "p&=+ é/", "a"); err != nil || len(keys) != 2 {
		t.Fatalf("listed %q, %v", keys, err)
	}
	if _, err := store.(objectstore.Pager).ListPage(t.Context(), "p&=+ é/", "p&=+ é/a", nil); err != nil {
		t.Fatal(err)
	}
	// After a refusal the SDK sends the request again, and reports why it is refused.
	if want := []bool{false, true, true, false, true}; !slices.Equal(f.direct, want) {
		t.Errorf("asked without the SDK: %v, want %v", f.direct, want)
	}
	for i := 2; i < len(f.queries); i++ {
		bySDK, direct := f.queries[3], f.queries[i]
		bySDK.Del("x-id")
		if !reflect.DeepEqual(direct, bySDK) {
			t.Errorf("asked for %v, the SDK for %v", direct, bySDK)
		}
	}
}

// TestDirectEnds checks that a page ends with its context.
func TestDirectEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls > 1 {
			fmt.Fprint(w, "<ListBucketResult>")
			w.(http.Flusher).Flush()
			cancel()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, result(false, ""))
	}))
	defer server.Close()
	client, err := s3store.New(ctx, s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := client.Bucket("bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.ListPage(ctx, "", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.ListPage(ctx, "", "", nil); !errors.Is(err, context.Canceled) || calls != 2 {
		t.Errorf("%v after %d calls, want the end of the context", err, calls)
	}
}

// TestDirectTrusts checks that direct requests trust the authorities that the environment
// names.
func TestDirectTrusts(t *testing.T) {
	f := &faulty{pages: []string{result(false, ""), result(false, "", "a")}}
	server := httptest.NewTLSServer(f)
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	expect.NoError(t, os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	t.Setenv("AWS_CA_BUNDLE", bundle)
	client, err := s3store.New(t.Context(), s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s"})
	expect.NoError(t, err)
	bucket, err := client.Bucket("bucket")
	expect.NoError(t, err)
	if keys, err := listPages(t, bucket, "", ""); err != nil || !slices.Equal(keys, []string{"a"}) || !slices.Equal(f.direct, []bool{false, true}) {
		t.Errorf("listed %q, %v, without the SDK: %v", keys, err, f.direct)
	}
}
