package s3store_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// faulty is a server that answers each LIST call with the next of its pages. It
// is here for what no real server can be made to do.
type faulty struct {
	pages   []string // bodies; a number alone is a status with an error body
	queries []url.Values
	direct  []bool // whether the SDK was left out
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.queries = append(f.queries, r.URL.Query())
	f.direct = append(f.direct, r.UserAgent() == "rangefleet")
	if len(f.pages) == 0 {
		http.Error(w, "no more pages", http.StatusTeapot)
		return
	}
	page := f.pages[0]
	f.pages = f.pages[1:]
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

const encoded = "<EncodingType>url</EncodingType>"

// start returns a bucket on a server with the pages.
func start(t *testing.T, change func(*s3store.Config), pages ...string) (*faulty, objectstore.Store) {
	t.Helper()
	f := &faulty{pages: pages}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg := s3store.Config{
		Endpoint: server.URL, Region: "us-east-1", ForcePathStyle: true,
		AccessKeyID: "id", SecretAccessKey: "the-secret", Attempts: 1,
	}
	if change != nil {
		change(&cfg)
	}
	client, err := s3store.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	store, err := client.Bucket("bucket")
	if err != nil {
		t.Fatal(err)
	}
	return f, store
}

func list(t *testing.T, s objectstore.Store, prefix, after string) (keys []string, err error) {
	t.Helper()
	for page, err := range s.List(t.Context(), prefix, after, "") {
		if err != nil {
			return keys, err
		}
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
	}
	return keys, nil
}

// TestListGuards feeds the listing what misbehaving stores answer.
func TestListGuards(t *testing.T) {
	for _, tc := range []struct {
		name          string
		prefix, after string
		pages         []string
		want          []string // keys handed over
		names         []string // in the error, which must be ErrBadListing; none: no error
	}{
		{name: "in order", pages: []string{result(true, "", "a", "b"), result(false, "", "c")}, want: []string{"a", "b", "c"}},
		{
			name: "start-after inclusive", pages: []string{result(true, "", "a", "b"), result(true, "", "b", "c"), result(false, "", "c")},
			want: []string{"a", "b", "c"},
		},
		{name: "start-after inclusive from the caller", after: "a", pages: []string{result(false, "", "a", "b")}, want: []string{"b"}},
		{
			name: "only the start again, truncated", pages: []string{result(true, "", "a", "b"), result(true, "", "b")},
			want: []string{"a", "b"}, names: []string{`"b"`},
		},
		{
			name: "start-after ignored", pages: []string{result(true, "", "a", "b"), result(true, "", "a", "b")},
			want: []string{"a", "b"}, names: []string{`"a"`, `"b"`},
		},
		{name: "unsorted inside a page", pages: []string{result(false, "", "a", "c", "b")}, names: []string{`"c"`, `"b"`}},
		{name: "twice inside a page", pages: []string{result(false, "", "a", "a")}, names: []string{`"a"`}},
		{
			name: "unsorted across pages", pages: []string{result(true, "", "a", "c"), result(false, "", "b", "d")},
			want: []string{"a", "c"}, names: []string{`"b"`, `"c"`},
		},
		{name: "empty and truncated", pages: []string{result(true, "")}, names: []string{"lists none"}},
		{name: "empty key", pages: []string{result(false, "", "")}, names: []string{`""`}},
		{name: "another prefix", prefix: "x/", pages: []string{result(false, "", "a")}, names: []string{`"a"`, `"x/"`}},
		{name: "UTF-16 order", pages: []string{result(false, "", "\U00010000", "\ue000")}, names: []string{`"\ue000"`, "\U00010000"}},
		{name: "encoded", pages: []string{result(false, encoded, "a%0Ab", "a%2Bb", "a+b")}, names: []string{`"a+b"`, `"a b"`}},
		{
			name: "encoded in order", pages: []string{result(false, encoded, "a%0Ab", "a+b", "a%25", "a%2Bb", "%C3%A9")},
			want: []string{"a\nb", "a b", "a%", "a+b", "é"},
		},
		{name: "encoding asked for but not done", pages: []string{result(false, "", "a%25", "a+b")}, want: []string{"a%25", "a+b"}},
		{name: "encoding broken", pages: []string{result(false, encoded, "a%zz")}, names: []string{`"a%zz"`}},
		{name: "encoded bytes that are not UTF-8", pages: []string{result(false, encoded, "ok", "x%FF")}, names: []string{`"x\xff"`}},
		{name: "bytes that are not UTF-8", pages: []string{result(false, "", "ok", "x\xff")}, names: []string{"invalid UTF-8"}},
		{name: "control character", pages: []string{result(false, "", "x&#x1;")}, names: []string{"U+0001"}},
		{name: "replaced characters", pages: []string{result(false, "", "x\ufffd")}, names: []string{"\ufffd"}},
		{name: "U+FFFD itself", pages: []string{result(false, encoded, "x%EF%BF%BD")}, want: []string{"x\ufffd"}},
		{name: "no size", pages: []string{"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key></Contents></ListBucketResult>"}, names: []string{`"k"`}},
	} {
		for name, way := range ways {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				_, store := start(t, nil, append(way.first, tc.pages...)...)
				got, err := way.list(t, store, tc.prefix, tc.after)
				expectListed(t, got, tc.want, err, tc.names)
			})
		}
	}
}

// expectListed checks the keys that were listed, and the names in the error.
func expectListed(t *testing.T, got, want []string, err error, names []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	if (err != nil) != (names != nil) || (err != nil && !errors.Is(err, objectstore.ErrBadListing)) {
		t.Fatalf("error %v, want ErrBadListing: %v", err, names != nil)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error %q does not name %s", err, name)
		}
	}
}

// TestEchoes lists pages that repeat what was asked for in a way that XML forbids.
func TestEchoes(t *testing.T) {
	_, store := start(t, nil, result(true, encoded, "a%01"),
		result(false, encoded+"<StartAfter>a\x01</StartAfter><Prefix>&#x1;\xff</Prefix>", "b"))
	if keys, err := list(t, store, "", ""); err != nil || !slices.Equal(keys, []string{"a\x01", "b"}) {
		t.Errorf("listed %q, %v", keys, err)
	}
}

// TestPagesStayApart lists one bucket within the listing of another, and again
// after each, with the memory of the ones before.
func TestPagesStayApart(t *testing.T) {
	_, store := start(t, nil, result(true, "", "a1", "a2"), result(false, "", "b1", "b2"), result(false, "", "a3"), result(false, "", "c1"))
	var got []string
	for page, err := range store.List(t.Context(), "", "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			inner, err := list(t, store, "", "")
			if err != nil {
				t.Fatal(err)
			}
			got = inner
		}
		for _, o := range page {
			got = append(got, string(o.Key)+string(o.ETag))
		}
	}
	last, err := list(t, store, "", "")
	if got = append(got, last...); err != nil || !slices.Equal(got, []string{"b1", "b2", "a1e", "a2e", "a3e", "c1"}) {
		t.Errorf("listed %q, %v", got, err)
	}
}

// TestListAsks checks what is sent: StartAfter and never a token.
func TestListAsks(t *testing.T) {
	const token = "<NextContinuationToken>t</NextContinuationToken>"
	f, store := start(t, func(c *s3store.Config) { c.PageSize = 2 },
		result(true, token, "p/a", "p/b"), result(true, token, "p/c"), result(false, "", "p/d"))
	if _, err := list(t, store, "p/", "a"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, q := range f.queries {
		if q.Get("prefix") != "p/" || q.Get("encoding-type") != "url" || q.Get("max-keys") != "2" || q.Has("continuation-token") {
			t.Errorf("asked %v", q)
		}
		got = append(got, q.Get("start-after"))
	}
	// "a" sorts before the prefix, so the first call needs no start.
	if want := []string{"", "p/b", "p/c"}; !slices.Equal(got, want) {
		t.Errorf("pages started after %q, want %q", got, want)
	}
}

func TestListedObject(t *testing.T) {
	_, store := start(t, nil, result(false, "", "k"), result(false, "", "k"))
	want := objectstore.Object{Key: "k", ETag: "e", Size: 7, ModTime: time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)}
	for page, err := range store.List(t.Context(), "", "", "") {
		if err != nil || len(page) != 1 || page[0].Object() != want {
			t.Errorf("listed %+v, %v, want %+v", page, err, want)
		}
	}
	if got, err := store.Stat(t.Context(), "k"); err != nil || got != want {
		t.Errorf("Stat = %+v, %v, want %+v", got, err, want)
	}
}

// TestErrors checks what callers are told of S3's errors.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		answer string
		want   error // nil: transient, and no more is known
	}{
		{"404 NoSuchBucket", objectstore.ErrNotFound},
		{"404 NoSuchKey", objectstore.ErrNotFound},
		{"403 AccessDenied", objectstore.ErrRefused},
		{"403 SignatureDoesNotMatch", objectstore.ErrRefused},
		{"403 InvalidAccessKeyId", objectstore.ErrRefused},
		{"400 InvalidArgument", objectstore.ErrRefused},
		{"301 PermanentRedirect", objectstore.ErrRefused},
		{"405 MethodNotAllowed", objectstore.ErrRefused},
		{"400 RequestTimeout", nil},
		{"400 BadDigest", nil},
		{"409 OperationAborted", nil},
		{"429 TooManyRequests", objectstore.ErrThrottled},
		{"500 InternalError", nil},
		{"503 SlowDown", objectstore.ErrThrottled},
		{"400 RequestLimitExceeded", objectstore.ErrThrottled},
	} {
		t.Run(tc.answer, func(t *testing.T) {
			_, single := start(t, nil, result(false, ""), tc.answer, tc.answer)
			_, errPage := listPages(t, single, "", "")
			_, store := start(t, nil, tc.answer, tc.answer, tc.answer, tc.answer)
			_, errList := list(t, store, "", "")
			_, errStat := store.Stat(t.Context(), "k")
			_, errGet := store.Get(t.Context(), "k")
			errPut := store.Put(t.Context(), "k", []byte("x"))
			_, code, _ := strings.Cut(tc.answer, " ")
			for call, err := range map[string]error{"list": errList, "page": errPage, "stat": errStat, "get": errGet, "put": errPut} {
				switch {
				case err == nil:
					t.Errorf("%s: no error", call)
				case objectstore.Permanent(err) != objectstore.Permanent(tc.want) || tc.want != nil && !errors.Is(err, tc.want):
					t.Errorf("%s: %v, want %v", call, err, tc.want)
				}
				for _, words := range []string{code, "the store's own words", "REQ1", "s3://bucket/"} {
					if !strings.Contains(fmt.Sprint(err), words) {
						t.Errorf("%s: %q does not say %q", call, err, words)
					}
				}
			}
		})
	}
}

// TestBrokenAnswersAreTransient covers what comes back damaged.
func TestBrokenAnswersAreTransient(t *testing.T) {
	whole := result(false, "", "a")
	for _, page := range []string{whole[:len(whole)-30], whole[:60], "", "<html></html>", "503 <html>"} {
		for name, way := range ways {
			_, store := start(t, nil, append(way.first, page)...)
			if keys, err := way.list(t, store, "", ""); err == nil || objectstore.Permanent(err) {
				t.Errorf("page %q listed %q in %s, %v, want a transient error", page, keys, name, err)
			}
		}
	}
}

// cutShort answers with a part of a page: of more that its head announces, or of
// chunks without the last. Then it answers with all of it.
func cutShort(t *testing.T, chunked bool, attempts int) (store objectstore.Store, calls *atomic.Int32) {
	t.Helper()
	whole := result(false, "", "a", "b")
	calls = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) > 1 {
			fmt.Fprint(w, whole)
			return
		}
		if !chunked {
			w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		}
		fmt.Fprint(w, whole[:len(whole)-30])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	client, err := s3store.New(t.Context(), s3store.Config{
		Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s", Attempts: attempts,
	})
	if err != nil {
		t.Fatal(err)
	}
	if store, err = client.Bucket("bucket"); err != nil {
		t.Fatal(err)
	}
	return store, calls
}

// TestCutShort checks that a body that ends early is tried again, and never
// passes for a shorter listing.
func TestCutShort(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		store, _ := cutShort(t, chunked, 1)
		if keys, err := list(t, store, "", ""); err == nil || objectstore.Permanent(err) || len(keys) > 0 {
			t.Errorf("chunked %t: listed %q, %v, want a transient error", chunked, keys, err)
		}
		store, calls := cutShort(t, chunked, 2)
		if keys, err := list(t, store, "", ""); err != nil || !slices.Equal(keys, []string{"a", "b"}) || calls.Load() != 2 {
			t.Errorf("chunked %t: listed %q, %v after %d calls, want all after 2", chunked, keys, err, calls.Load())
		}
	}
}

// TestErrorSaidLate answers 200 with an error in place of the page.
func TestErrorSaidLate(t *testing.T) {
	const late = "<Error><Code>InternalError</Code><Message>the store's own words</Message></Error>"
	_, store := start(t, nil, late)
	if keys, err := list(t, store, "", ""); err == nil || objectstore.Permanent(err) ||
		!strings.Contains(err.Error(), "InternalError: the store's own words") || !strings.Contains(err.Error(), "REQ1") {
		t.Errorf("listed %q, %v, want a transient error in the store's words", keys, err)
	}
	_, store = start(t, func(c *s3store.Config) { c.Attempts = 2 }, late, result(false, "", "a"))
	if keys, err := list(t, store, "", ""); err != nil || !slices.Equal(keys, []string{"a"}) {
		t.Errorf("listed %q, %v after another try", keys, err)
	}
}

// TestEndlessPage checks that memory is bounded.
func TestEndlessPage(t *testing.T) {
	_, store := start(t, nil, result(false, "", strings.Repeat("k", 9<<20)))
	if _, err := list(t, store, "", ""); !errors.Is(err, objectstore.ErrBadListing) || len(err.Error()) > 500 {
		t.Errorf("%.500v, want ErrBadListing", err)
	}
}

// TestAttempts checks that the SDK tries again, as often as it is told.
func TestAttempts(t *testing.T) {
	attempts := func(n int) func(*s3store.Config) { return func(c *s3store.Config) { c.Attempts = n } }
	_, store := start(t, attempts(2), "429 SlowDown", result(false, "", "a"))
	if keys, err := list(t, store, "", ""); err != nil || !slices.Equal(keys, []string{"a"}) {
		t.Errorf("listed %q, %v", keys, err)
	}
	f, store := start(t, attempts(2), "503 SlowDown", "503 SlowDown", "503 SlowDown")
	if _, err := list(t, store, "", ""); err == nil || len(f.queries) != 2 {
		t.Errorf("%v after %d calls, want an error after 2", err, len(f.queries))
	}
	f, store = start(t, attempts(3), "403 AccessDenied", "403 AccessDenied")
	if _, err := list(t, store, "", ""); err == nil || len(f.queries) != 1 {
		t.Errorf("%v after %d calls, want an error after 1", err, len(f.queries))
	}
}

// TestAttemptTimeout hangs up on a store that does not answer.
func TestAttemptTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	client, err := s3store.New(t.Context(), s3store.Config{
		Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s",
		Attempts: 1, AttemptTimeout: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := client.Bucket("bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list(t, store, "", ""); err == nil || objectstore.Permanent(err) {
		t.Errorf("error %v, want a transient one", err)
	}
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
	if err := store.Put(t.Context(), "a b/+%", []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if got.ContentLength != 5 || got.TransferEncoding != nil || got.Header.Get("X-Amz-Trailer") != "" ||
		len(got.Header.Get("X-Amz-Content-Sha256")) != 64 || got.URL.Path != "/bucket/a b/+%" {
		t.Errorf("sent %s with length %d and headers %v", got.URL, got.ContentLength, got.Header)
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

// BenchmarkList lists a page of 1000 keys: HTTP, the server's part included, and
// the SDK's, decoding and checks.
func BenchmarkList(b *testing.B) {
	const n = 1000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("data/date%%3D2024-05-06/hour=07/part-%08d-0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e", i)
	}
	body := []byte(result(false, encoded, keys...))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write(body)
	}))
	defer server.Close()
	client, err := s3store.New(b.Context(), s3store.Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s"})
	if err != nil {
		b.Fatal(err)
	}
	store, err := client.Bucket("bucket")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		listed := 0
		for page, err := range store.List(b.Context(), "", "", "") {
			if err != nil {
				b.Fatal(err)
			}
			listed += len(page)
		}
		if listed != n {
			b.Fatalf("listed %d keys", listed)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
}
