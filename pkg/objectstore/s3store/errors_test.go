package s3store_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// TestErrors checks which error of objectstore each error of S3 becomes.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		answer string
		want   error // nil: transient, and no more is known
	}{
		{"404 NoSuchBucket", objectstore.ErrNotFound},
		{"404 NoSuchKey", objectstore.ErrNotFound},
		{"404 XAdminUserNotFound", objectstore.ErrRefused}, // of versitygw, where the key is unknown
		{"404 NoSuchUpload", objectstore.ErrRefused},
		{"501 NotImplemented", objectstore.ErrRefused},
		{"403 AccessDenied", objectstore.ErrRefused},
		{"403 SignatureDoesNotMatch", objectstore.ErrRefused},
		{"403 InvalidAccessKeyId", objectstore.ErrRefused},
		{"400 InvalidArgument", objectstore.ErrRefused},
		{"301 PermanentRedirect", objectstore.ErrRefused},
		{"405 MethodNotAllowed", objectstore.ErrRefused},
		{"400 RequestTimeout", nil},
		{"403 RequestTimeTooSkewed", nil},
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
			_, errGet := store.Get(t.Context(), "k", 1<<20)
			errPut := store.Put(t.Context(), "k", []byte("x"), objectstore.Sum{})
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

// The error of a call without a response names no status and no request ID.
func TestNobodyThere(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	_, store := start(t, func(c *s3store.Config) { c.Endpoint = gone.URL })
	_, errList := list(t, store, "", "")
	_, errStat := store.Stat(t.Context(), "k")
	_, errGet := store.Get(t.Context(), "k", 1<<20)
	errPut := store.Put(t.Context(), "k", []byte("x"), objectstore.Sum{})
	for call, err := range map[string]error{"list": errList, "stat": errStat, "get": errGet, "put": errPut} {
		text := fmt.Sprint(err)
		if objectstore.Permanent(err) || !strings.Contains(text, "connection refused") || !strings.Contains(text, "s3://bucket/") ||
			strings.Contains(text, "status") || strings.Contains(text, "ID") {
			t.Errorf("%s: %s", call, text)
		}
	}
}

// TestBrokenAnswersAreTransient lists damaged pages.
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

// cutShort first sends a part of a page: less than Content-Length announces, or chunks
// without the last one. Then it sends the whole page.
func cutShort(t *testing.T, chunked bool) (store objectstore.Store, calls *atomic.Int32) {
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
	return open(t, server.URL, "bucket", nil), calls
}

// TestCutShort checks that a body that ends early is a transient error, and never
// passes for a shorter listing.
func TestCutShort(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		store, calls := cutShort(t, chunked)
		if keys, err := list(t, store, "", ""); err == nil || objectstore.Permanent(err) || len(keys) > 0 {
			t.Errorf("chunked %t: listed %q, %v, want a transient error", chunked, keys, err)
		}
		if keys, err := list(t, store, "", ""); err != nil || !slices.Equal(keys, []string{"a", "b"}) || calls.Load() != 2 {
			t.Errorf("chunked %t: listed %q, %v after %d calls, want all after 2", chunked, keys, err, calls.Load())
		}
	}
}

// A 404 without an error code is ErrNotFound, whatever its body is.
func TestNotFoundWithoutACode(t *testing.T) {
	for _, body := range []string{"", "<html>Not Found</html>", "<Error/>", "not found"} {
		store := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, body)
		}), nil)
		for call, err := range everyCall(t.Context(), t, store) {
			if !errors.Is(err, objectstore.ErrNotFound) {
				t.Errorf("%q: %s: %v, want ErrNotFound", body, call, err)
			}
		}
	}
}

// A long error is read only in part, and its text repeats even less.
func TestLongErrors(t *testing.T) {
	sent := make(chan int, 16)
	store := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>because", strings.Repeat("\u00e9", 10_000), "</Message><More>")
		n := 0
		for ; n < 256<<20 && r.Context().Err() == nil; n += 1000 {
			if _, err := fmt.Fprintf(w, "%01000d", 0); err != nil {
				break
			}
		}
		sent <- n
	}), nil)
	for call, err := range everyCall(t.Context(), t, store) {
		if !errors.Is(err, objectstore.ErrRefused) || len(err.Error()) > 2000 || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: %.3000v, want ErrRefused in 2000 bytes", call, err)
		}
	}
	for range len(sent) {
		if n := <-sent; n > 128<<20 {
			t.Errorf("%d bytes of an error were read", n)
		}
	}
}

func TestErrorWithoutRequestID(t *testing.T) {
	_, store := start(t, nil)
	if err := store.Put(t.Context(), "k", nil, objectstore.Sum{}); err == nil || !strings.HasSuffix(err.Error(), " (status 418): "+objectstore.ErrRefused.Error()) {
		t.Errorf("put: %v", err)
	}
}

// TestErrorSaidLate sends an error with status 200.
func TestErrorSaidLate(t *testing.T) {
	const late = "<Error><Code>InternalError</Code><Message>the store's own words</Message></Error>"
	_, store := start(t, nil, late)
	if keys, err := list(t, store, "", ""); err == nil || objectstore.Permanent(err) ||
		!strings.Contains(err.Error(), "InternalError: the store's own words") || !strings.Contains(err.Error(), "REQ1") {
		t.Errorf("listed %q, %v, want a transient error in the store's words", keys, err)
	}
}

// TestEndlessPage checks that memory is bounded.
func TestEndlessPage(t *testing.T) {
	_, store := start(t, nil, result(false, "", strings.Repeat("k", 9<<20)))
	if _, err := list(t, store, "", ""); !errors.Is(err, objectstore.ErrBadListing) || len(err.Error()) > 500 {
		t.Errorf("%.500v, want ErrBadListing", err)
	}
}

// TestNoRetries checks that the SDK does not try again, whatever its environment says: the
// retries of a decorator are counted, and each try is measured.
func TestNoRetries(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "3")
	for _, answer := range []string{"429 SlowDown", "503 SlowDown", "500 InternalError", "403 AccessDenied"} {
		f, store := start(t, nil, answer, answer)
		if _, err := list(t, store, "", ""); err == nil || len(f.queries) != 1 {
			t.Errorf("%s: %v after %d calls, want an error after 1", answer, err, len(f.queries))
		}
	}
}

// TestTimeout hangs up on a store that does not answer.
func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	store := open(t, server.URL, "bucket", func(c *s3store.Config) { c.Timeout = 50 * time.Millisecond })
	if _, err := list(t, store, "", ""); err == nil || objectstore.Permanent(err) {
		t.Errorf("error %v, want a transient one", err)
	}
}

// A process whose clock is an hour off can list: after the store has refused a call
// because of that, the SDK corrects the time.
func TestAClockThatIsOff(t *testing.T) {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there := time.Now().Add(time.Hour).UTC()
		w.Header().Set("Date", there.Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/xml")
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || there.Sub(signed).Abs() > 15*time.Minute {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<Error><Code>RequestTimeTooSkewed</Code><Message>The clocks differ.</Message></Error>")
			return
		}
		fmt.Fprint(w, result(false, "", "a", "b"))
	}))
	t.Cleanup(store.Close)
	client, err := s3store.New(t.Context(), s3store.Config{Endpoint: store.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := client.Bucket("bucket")
	if err != nil {
		t.Fatal(err)
	}
	_, first := bucket.ListPage(t.Context(), "", "", func([]objectstore.Listed) {})
	if objectstore.Permanent(first) {
		t.Fatalf("%v, which is no refusal for good", first)
	}
	for range 3 { // the first of them shows the way that the others try
		listed := 0
		if _, err := bucket.ListPage(t.Context(), "", "", func(page []objectstore.Listed) { listed = len(page) }); err != nil || listed != 2 {
			t.Errorf("%d keys, %v", listed, err)
		}
	}
}
