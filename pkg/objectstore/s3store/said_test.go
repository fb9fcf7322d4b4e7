package s3store_test

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// TestContradictions lists pages that answer other requests, or say that they hold more than
// they do. The first is https://github.com/Alluxio/alluxio/issues/14189.
func TestContradictions(t *testing.T) {
	for _, tc := range []struct{ name, head, names string }{
		{"rolled up", "<CommonPrefixes><Prefix>p=/sub/</Prefix></CommonPrefixes>", `"p=/sub/"`},
		{"a delimiter", "<Delimiter>/</Delimiter>", `"/"`},
		{"another bucket", "<Name>other</Name>", `"other"`},
		{"another prefix", "<Prefix>p/</Prefix>", `"p/"`},
		{"a longer prefix", "<Prefix>p%3D/a</Prefix>", `"p%3D/a"`},
		{"another start", "<StartAfter>p=/b</StartAfter>", `"p=/b"`},
		{"more keys than there are", "<KeyCount>2</KeyCount>", "2 keys"},
	} {
		for name, way := range ways {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				_, store := start(t, nil, append(way.first, result(false, tc.head, "p=/c"))...)
				got, err := way.list(t, store, "p=/", "p=/a")
				expectListed(t, got, nil, err, []string{tc.names})
			})
		}
	}
	_, store := start(t, func(c *s3store.Config) { c.PageKeys = 2 }, result(false, "", "a", "b", "c"))
	got, err := list(t, store, "", "")
	expectListed(t, got, nil, err, []string{"3 keys", "2 were asked for"})
}

// TestNoContradictions lists pages that repeat their requests in ways that stores are
// known for, or leave that out.
func TestNoContradictions(t *testing.T) {
	const prefix, after = "p=/\U0001f600 +&", "p=/\U0001f600 +&a"
	for name, head := range map[string]string{
		"nothing":               "",
		"empty":                 "<Name/><Prefix/><StartAfter/><Delimiter/><KeyCount/><CommonPrefixes/>",
		"as it is":              "<Name>bucket</Name><Prefix>p=/\U0001f600 +&amp;</Prefix><StartAfter>p=/\U0001f600 +&amp;a</StartAfter>",
		"as it is, unescaped":   "<Prefix>p=/\U0001f600 +&</Prefix>",
		"as a query":            "<Prefix>p%3D/%F0%9F%98%80+%2B%26</Prefix><StartAfter>p%3D/%F0%9F%98%80+%2B%26a</StartAfter>",
		"escaped":               "<Prefix>p%3d%2f%f0%9f%98%80%20%2b%26</Prefix>",
		"replaced":              "<Prefix>p=/\ufffd +&amp;</Prefix>",
		"fewer keys than asked": "<MaxKeys>100</MaxKeys>",
		"fewer keys than there": "<KeyCount>0</KeyCount>",
		"a count of another":    "<KeyCount>many</KeyCount>",
	} {
		_, store := start(t, nil, result(false, head, html.EscapeString(prefix+"c")))
		got, err := list(t, store, prefix, after)
		if err != nil || !slices.Equal(got, []string{prefix + "c"}) {
			t.Errorf("%s: listed %q, %v", name, got, err)
		}
	}
}

// Ceph names the bucket of a tenant without the tenant.
func TestBucketOfATenant(t *testing.T) {
	paths := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.EscapedPath()
		fmt.Fprint(w, result(false, "<Name>bucket</Name>", "a"))
	}))
	defer server.Close()
	store := open(t, server.URL, "tenant:bucket", nil)
	got, err := list(t, store, "", "")
	if path := <-paths; err != nil || !slices.Equal(got, []string{"a"}) || path != "/tenant%3Abucket" {
		t.Errorf("listed %q, %v at %s", got, err, path)
	}
}

// An object that is listed without its size or time is asked for by a HEAD: S3Proxy lists
// markers of directories so.
func TestMarkersWithoutFacts(t *testing.T) {
	const bare = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>d/</Key></Contents>" +
		"<Contents><Key>d/k</Key><LastModified>2024-05-06T07:08:09Z</LastModified><ETag>\"e\"</ETag><Size>7</Size></Contents></ListBucketResult>"
	for name, tc := range map[string]struct {
		head func(http.ResponseWriter)
		want []objectstore.Object
		is   error
	}{
		"told": {head: func(w http.ResponseWriter) {
			w.Header().Set("Last-Modified", "Mon, 06 May 2024 07:08:09 GMT")
			w.Header().Set("ETag", `"m"`)
			w.Header().Set("Content-Length", "3")
		}, want: []objectstore.Object{{Key: "d/", ETag: "m", Size: 3, ModTime: may}, {Key: "d/k", ETag: "e", Size: 7, ModTime: may}}},
		"not there":      {head: func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, is: objectstore.ErrBadListing},
		"without a time": {head: func(w http.ResponseWriter) { w.Header().Set("Content-Length", "3") }, is: objectstore.ErrBadKey},
		"forbidden":      {head: func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, is: objectstore.ErrRefused},
	} {
		store := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				tc.head(w)
				return
			}
			fmt.Fprint(w, bare)
		}), nil)
		var got []objectstore.Object
		var err error
		for page, failed := range store.List(t.Context(), "d/", "", objectstore.ListOptions{}) {
			err = failed
			for _, o := range page {
				got = append(got, o.Object())
			}
		}
		if !slices.Equal(got, tc.want) || !errors.Is(err, tc.is) || err != nil && !strings.Contains(err.Error(), `"d/"`) {
			t.Errorf("%s: listed %+v, %v", name, got, err)
		}
	}
}

// A store that is known not to sort is not listed, but objects are read from and put to it.
func TestUnordered(t *testing.T) {
	_, store := start(t, func(c *s3store.Config) { c.Unordered = true }, "404 NoSuchKey")
	if _, err := list(t, store, "", ""); !errors.Is(err, objectstore.ErrSettings) || !strings.Contains(err.Error(), "s3.order") {
		t.Errorf("%v, want ErrSettings that names the setting", err)
	}
	if _, err := store.Get(t.Context(), "k", 10); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("%v, want what the store says", err)
	}
}
