package s3store_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// TestListAfter checks the request for a page of a trial, and that the end of the page is
// believed where a listing would confirm it.
func TestListAfter(t *testing.T) {
	for name, c := range map[string]struct {
		page    string
		keys    int
		maxKeys string
		want    []string
		more    bool
		bad     bool
	}{
		"full":        {result(true, encoded, "p/b", "p/c"), 0, "1000", []string{"p/b", "p/c"}, true, false},
		"small":       {result(true, encoded, "p/b", "p/c"), 2, "2", []string{"p/b", "p/c"}, true, false},
		"the end":     {result(false, encoded, "p/b"), 2, "2", []string{"p/b"}, false, false},
		"nothing":     {result(false, encoded), 2, "2", nil, false, false},
		"the start":   {result(false, encoded, "p/a", "p/b"), 2, "2", []string{"p/b"}, false, false},
		"goes back":   {result(false, encoded, "p/0"), 2, "2", nil, false, true},
		"no progress": {result(true, encoded), 2, "2", nil, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, store := start(t, nil, c.page)
			var got []string
			more, err := store.(*s3store.Bucket).ListAfter(t.Context(), "p/", "p/a", c.keys, func(page []objectstore.Listed) {
				for _, o := range page {
					got = append(got, string(o.Key))
				}
			})
			if !slices.Equal(got, c.want) || more != c.more || errors.Is(err, objectstore.ErrBadListing) != c.bad || (err != nil) != c.bad {
				t.Errorf("ListAfter = %q, more %t, %v", got, more, err)
			}
			if len(f.queries) != 1 || f.queries[0].Get("max-keys") != c.maxKeys || f.queries[0].Get("start-after") != "p/a" || f.queries[0].Get("prefix") != "p/" {
				t.Errorf("asked %v, want one LIST of %s keys", f.queries, c.maxKeys)
			}
		})
	}
}

func TestEncodes(t *testing.T) {
	for page, want := range map[string]bool{result(false, encoded, "p/a"): true, result(false, "", "p/a"): false, result(false, encoded): true} {
		f, store := start(t, nil, page)
		got, err := store.(*s3store.Bucket).Encodes(t.Context(), "p/")
		if got != want || err != nil || f.queries[0].Get("max-keys") != "1" {
			t.Errorf("Encodes = %t, %v after %v of %s", got, err, f.queries, page)
		}
	}
	_, store := start(t, nil, "404 NoSuchBucket")
	if _, err := store.(*s3store.Bucket).Encodes(t.Context(), ""); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("without a bucket: %v, want ErrNotFound", err)
	}
}
