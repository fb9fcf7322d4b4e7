package s3store_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

var may = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

// oddly answers with status 200 and whatever body and headers.
type oddly struct {
	body, contentType, contentEncoding string
}

func (o *oddly) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", o.contentType)
	if o.contentEncoding != "" {
		w.Header().Set("Content-Encoding", o.contentEncoding)
	}
	fmt.Fprint(w, o.body)
}

// TestOddAnswers checks which answers end a listing within a minute, with an error that
// describes them. Others may come from a proxy while the store is away.
func TestOddAnswers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		odd     oddly
		says    []string
		passing bool
	}{
		{"JSON", oddly{body: `{"keys": []}`, contentType: "application/json"}, []string{"application/json", `{\"keys\": []}`}, false},
		{"a DTD", oddly{body: `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`, contentType: "application/xml"}, []string{"application/xml", "<!DOCTYPE x"}, false},
		{"another listing", oddly{body: "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", contentType: "text/xml"}, []string{"<ListAllMyBucketsResult>"}, false},
		{"no IsTruncated and no keys", oddly{body: "<ListBucketResult/>", contentType: "text/xml"}, []string{"IsTruncated"}, false},
		{"compressed otherwise", oddly{body: "\x1b\x00\xf8", contentType: "application/xml", contentEncoding: "br"}, []string{"Content-Encoding: br", `\x1b`}, false},
		{"compressed badly", oddly{body: "\x1f\x8b\xff", contentType: "application/xml", contentEncoding: "gzip"}, []string{"Content-Encoding: gzip"}, true},
		{"nothing", oddly{}, []string{"no page"}, true},
		{"HTML", oddly{body: "<html><body>We are away.</body></html>", contentType: "text/html"}, []string{"text/html", "We are away."}, true},
		{"HTML without a type", oddly{body: "\n<!doctype HTML><p>x"}, []string{"doctype HTML"}, true},
		{"cut short", oddly{body: "<ListBucketResult><IsTruncated>false</IsTr"}, []string{"no page"}, true},
	} {
		now := may
		store := serve(t, &tc.odd, func(c *s3store.Config) { c.Now = func() time.Time { return now } })
		var err error
		for now.Sub(may) < time.Minute && !objectstore.Permanent(err) {
			if _, err = list(t, store, "", ""); err == nil {
				t.Fatalf("%s: listed", tc.name)
			}
			now = now.Add(5 * time.Second)
		}
		if lasted := now.Sub(may); objectstore.Permanent(err) == tc.passing || !tc.passing && (lasted < 10*time.Second || !errors.Is(err, objectstore.ErrBadListing)) {
			t.Errorf("%s: after %v: %v", tc.name, lasted, err)
		}
		for _, words := range tc.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v, want it to say %s", tc.name, err, words)
			}
		}
	}
}

// A good answer, or an odd one of another kind, begins the time anew.
func TestOddAnswersInARow(t *testing.T) {
	now, odd := may, &oddly{}
	store := serve(t, odd, func(c *s3store.Config) { c.Now = func() time.Time { return now } })
	ask := func(body string) error {
		odd.body = body
		_, err := list(t, store, "", "")
		now = now.Add(3 * time.Second)
		return err
	}
	for i := range 30 {
		body := []string{`{"a": 1}`, "<A/>", result(false, "", "k")}[i/4%3]
		if err := ask(body); objectstore.Permanent(err) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	var last error
	for range 5 {
		last = ask("<A/>")
	}
	if !errors.Is(last, objectstore.ErrBadListing) {
		t.Errorf("%v, want ErrBadListing", last)
	}
}

// TestCompressed lists pages that are compressed though nobody asked for it, and counts
// what they unpack to. The report is https://github.com/archiecobbs/s3backer/issues/48.
func TestCompressed(t *testing.T) {
	pack := func(body string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(body))
		_ = w.Close()
		return b.String()
	}
	for name, way := range ways {
		first := make([]string, len(way.first))
		for i, page := range way.first {
			first[i] = pack(page)
		}
		_, store := start(t, nil, append(slices.Clone(first), pack(result(true, "", "a")), pack(result(false, "", "b")))...)
		if got, err := way.list(t, store, "", ""); err != nil || !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s: listed %q, %v", name, got, err)
		}
		_, store = start(t, nil, append(slices.Clone(first), pack(result(false, "", strings.Repeat("k", 9<<20))))...)
		if _, err := way.list(t, store, "", ""); !errors.Is(err, objectstore.ErrBadListing) || len(err.Error()) > 500 {
			t.Errorf("%s: %.500v, want ErrBadListing", name, err)
		}
	}
}

// The root element has another name at https://github.com/NVIDIA/aistore/issues/201.
func TestOtherRoot(t *testing.T) {
	_, store := start(t, nil, strings.ReplaceAll(result(false, "", "a", "b"), "ListBucketResult", "ListObjectResult"))
	if got, err := list(t, store, "", ""); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("listed %q, %v", got, err)
	}
}
