package s3store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// faulty is a server that answers each LIST call with the next of its pages. It
// is here for what no real server can be made to do.
//
// To requests that find out how keys are encoded it responds as if it had every key.
type faulty struct {
	pages   []string // bodies; a number alone is a status with an error body
	encodes bool     // the last page says that it is encoded
	queries []url.Values
	direct  []bool // whether the request came without the SDK
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if prefix := r.URL.Query().Get("prefix"); r.URL.Query().Get("max-keys") == "10" {
		if f.encodes {
			prefix = url.QueryEscape(prefix)
		}
		fmt.Fprint(w, result(false, "", prefix))
		return
	}
	f.queries = append(f.queries, r.URL.Query())
	f.direct = append(f.direct, r.UserAgent() == "rangefleet")
	if len(f.pages) == 0 {
		http.Error(w, "no more pages", http.StatusTeapot)
		return
	}
	page := f.pages[0]
	f.pages, f.encodes = f.pages[1:], strings.Contains(page, encoded)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "REQ1")
	var status int
	var code string
	if n, _ := fmt.Sscanf(page, "%d %s", &status, &code); n == 2 {
		w.WriteHeader(status)
		page = "<Error><Code>" + code + "</Code><Message>the store's own words</Message></Error>"
	}
	fmt.Fprint(w, page)
}

// result is the XML of a page; keys are written as they are.
func result(truncated bool, head string, keys ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<ListBucketResult>%s<IsTruncated>%t</IsTruncated>", head, truncated)
	for _, key := range keys {
		fmt.Fprintf(&b, `<Contents><Key>%s</Key><LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>`, key)
	}
	return b.String() + "</ListBucketResult>"
}

// start returns a bucket on a server with the pages.
func start(t *testing.T, change func(*s3store.Config), pages ...string) (*faulty, objectstore.Store) {
	t.Helper()
	f := &faulty{pages: pages}
	return f, serve(t, f, change)
}

func list(t *testing.T, s objectstore.Store, prefix, after string) (keys []string, err error) {
	t.Helper()
	for page, err := range s.List(t.Context(), prefix, after, objectstore.ListOptions{}) {
		if err != nil {
			return keys, err
		}
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
	}
	return keys, nil
}

// TestPutIsPlain checks that a body goes out as it is, with its length: stores
// that are not AWS refuse chunks and trailing checksums.
func TestPutIsPlain(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer server.Close()
	client, err := s3store.New(t.Context(), s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	store, err := client.Bucket("bucket")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "a b/+%", []byte("12345"), objectstore.Sum{}); err != nil {
		t.Fatal(err)
	}
	if got.ContentLength != 5 || got.TransferEncoding != nil || got.Header.Get("X-Amz-Trailer") != "" ||
		len(got.Header.Get("X-Amz-Content-Sha256")) != 64 || got.URL.Path != "/bucket/a b/+%" {
		t.Errorf("sent %s with length %d and headers %v", got.URL, got.ContentLength, got.Header)
	}
	sum := [sha256.Size]byte{1: 2}
	if err := store.Put(t.Context(), "k", []byte("12345"), sum); err != nil {
		t.Fatal(err)
	}
	if signed := got.Header.Get("X-Amz-Content-Sha256"); signed != hex.EncodeToString(sum[:]) {
		t.Errorf("signed the sum %s, want the one that was told", signed)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	for name, cfg := range map[string]s3store.Config{
		"no credentials": {},
		"half a pair":    {AccessKeyID: "id"},
		"other half":     {SecretAccessKey: "the-secret"},
	} {
		_, err := s3store.New(t.Context(), cfg)
		if !errors.Is(err, objectstore.ErrRefused) || strings.Contains(fmt.Sprint(err), "the-secret") {
			t.Errorf("%s: %v, want ErrRefused without the secret", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s3store.New(ctx, s3store.Config{}); objectstore.Permanent(err) || err == nil {
		t.Errorf("with a cancelled context: %v, want no permanent error", err)
	}
}

func TestDirectoryBucket(t *testing.T) {
	client, err := s3store.New(t.Context(), s3store.Config{AccessKeyID: "id", SecretAccessKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Bucket("logs--use1-az4--x-s3"); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("directory bucket: %v, want ErrRefused", err)
	}
}
