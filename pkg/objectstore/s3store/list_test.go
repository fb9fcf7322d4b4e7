package s3store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

const encoded = "<EncodingType>url</EncodingType>"

// TestListGuards lists stores that break the protocol.
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
		{name: "said to be encoded and shown not to be, in order", pages: []string{result(false, encoded, "a%zz", "b+=c")}, want: []string{"a%zz", "b+=c"}},
		{name: "encoded in two ways", pages: []string{result(true, encoded, "a%2Bb"), result(false, encoded, "b+", "b%zz")}, want: []string{"a+b"}, names: []string{`"b+"`}},
		{name: "encoded bytes that are not UTF-8", pages: []string{result(false, encoded, "ok", "x%FF")}, names: []string{`"x\xff"`}},
		{name: "bytes that are not UTF-8", pages: []string{result(false, "", "ok", "x\xff")}, names: []string{"invalid UTF-8"}},
		{name: "control character", pages: []string{result(false, "", "x&#x1;")}, names: []string{"U+0001"}},
		{name: "replaced characters", pages: []string{result(false, "", "x\ufffd")}, names: []string{"\ufffd"}},
		{name: "U+FFFD itself", pages: []string{result(false, encoded, "x%EF%BF%BD")}, want: []string{"x\ufffd"}},
		{name: "the directory listed twice", prefix: "d/", pages: []string{result(false, "", "d/", "d/", "d/a")}, want: []string{"d/", "d/a"}},
		{name: "the directory listed again on the next page", prefix: "d/", pages: []string{result(true, "", "d/"), result(false, "", "d/", "d/", "d/a")}, want: []string{"d/", "d/a"}},
		{name: "another directory listed twice", prefix: "d/", pages: []string{result(false, "", "d/e/", "d/e/")}, names: []string{`"d/e/"`}},
		{
			name: "the directory listed twice, differently", prefix: "d/", names: []string{`"d/"`},
			pages: []string{strings.Replace(result(false, "", "d/", "d/", "d/a"), "<Size>7", "<Size>0", 1)},
		},
		{name: "no IsTruncated, and a token", pages: []string{unsaid(true, "a"), unsaid(false)}, want: []string{"a"}},
		{name: "no IsTruncated, and keys follow", pages: []string{unsaid(false, "a"), unsaid(false, "b"), unsaid(false, "b"), unsaid(false)}, want: []string{"a", "b"}},
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

// unsaid is the XML of a page that does not say whether there is more.
func unsaid(token bool, keys ...string) string {
	head := fmt.Sprintf("<KeyCount>%d</KeyCount>", len(keys))
	if token {
		head += "<NextContinuationToken>t</NextContinuationToken>"
	}
	return strings.Replace(result(false, head, keys...), "<IsTruncated>false</IsTruncated>", "", 1)
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

// TestEndsThatAreNotSaidAreAskedFor lists stores that do not say whether keys follow.
func TestEndsThatAreNotSaidAreAskedFor(t *testing.T) {
	last := strings.Replace(result(false, "", "a", "b"), "<IsTruncated>false</IsTruncated>", "", 1)
	for _, tc := range []struct {
		name  string
		pages []string
		want  []string
		names []string
	}{
		{"it is the end", []string{last, result(false, "")}, []string{"a", "b"}, nil},
		{"it is the end of a store that starts at the start", []string{last, result(false, "", "b")}, []string{"a", "b"}, nil},
		{"keys follow", []string{last, result(true, "", "c", "d"), result(true, "", "c", "d"), result(false, "", "e")}, []string{"a", "b", "c", "d", "e"}, nil},
		{"keys follow at a store that starts at the start", []string{last, result(true, "", "b", "c"), result(false, "", "b", "c")}, []string{"a", "b", "c"}, nil},
		{"an empty page is believed", []string{result(true, "", "a", "b"), result(false, "")}, []string{"a", "b"}, nil},
		{"what follows is out of order", []string{last, result(false, "", "A", "B")}, nil, []string{`"A"`, `"b"`}},
	} {
		for name, way := range ways {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				f, store := start(t, nil, append(slices.Clone(way.first), tc.pages...)...)
				got, err := way.list(t, store, "", "")
				expectListed(t, got, tc.want, err, tc.names)
				if len(f.pages) > 0 {
					t.Errorf("%d answers were not asked for", len(f.pages))
				}
			})
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
	for page, err := range store.List(t.Context(), "", "", objectstore.ListOptions{}) {
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
	f, store := start(t, func(c *s3store.Config) { c.PageKeys = 2 },
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
	for page, err := range store.List(t.Context(), "", "", objectstore.ListOptions{}) {
		if err != nil || len(page) != 1 || page[0].Object() != want {
			t.Errorf("listed %+v, %v, want %+v", page, err, want)
		}
	}
	if got, err := store.Stat(t.Context(), "k"); err != nil || got != want {
		t.Errorf("Stat = %+v, %v, want %+v", got, err, want)
	}
}
