package s3store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

func next(token string) string {
	return encoded + "<NextContinuationToken>" + token + "</NextContinuationToken>"
}

// TestWalkAsks checks what a walk sends: tokens as they came, and never a start.
func TestWalkAsks(t *testing.T) {
	f, store := start(t, nil, result(true, next("1/+a&amp;b="), "p/a", "p/b"), result(true, next("2 %"), "p/c"), result(false, next("3"), "p/d"))
	var got, tokens []string
	for token, calls := "", 0; token != "" || calls == 0; calls++ {
		var err error
		token, err = store.(objectstore.Pager).WalkPage(t.Context(), "p/", token, func(page []objectstore.Listed) {
			for _, o := range page {
				got = append(got, string(o.Key))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, q := range f.queries {
		if q.Get("prefix") != "p/" || q.Get("encoding-type") != "url" || q.Has("start-after") || f.direct[i] != (i > 0) {
			t.Errorf("asked %v, directly: %t", q, f.direct[i])
		}
		tokens = append(tokens, q.Get("continuation-token"))
	}
	if want := []string{"", "1/+a&b=", "2 %"}; !slices.Equal(tokens, want) {
		t.Errorf("asked for the tokens %q, want %q", tokens, want)
	}
	if want := []string{"p/a", "p/b", "p/c", "p/d"}; !slices.Equal(got, want) {
		t.Errorf("walked %q, want %q", got, want)
	}
}

// TestWalkPages feeds single pages of a walk.
func TestWalkPages(t *testing.T) {
	for name, c := range map[string]struct {
		page string
		keys int
		next string
		says string // in an ErrBadListing; "" is none
	}{
		"the last one":              {result(false, "", "a", "b"), 2, "", ""},
		"an end with a token":       {result(false, next("t"), "a"), 1, "", ""},
		"nothing":                   {result(false, ""), 0, "", ""},
		"no keys, and a token":      {result(true, next("t")), 0, "1:t", ""},
		"more, and no token":        {result(true, "", "a"), 0, "", "no continuation token"},
		"unsorted":                  {result(true, next("t"), "b", "a"), 0, "", `"a"`},
		"twice":                     {result(true, next("t"), "a", "a"), 0, "", `"a"`},
		"of another prefix":         {result(true, next("t"), "xa"), 0, "", `"xa"`},
		"keys that are not encoded": {result(false, encoded, "x%FF"), 0, "", `"x\xff"`},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := ""
			if name == "of another prefix" {
				prefix = "p"
			}
			_, store := start(t, nil, c.page)
			n := 0
			next, err := store.(objectstore.Pager).WalkPage(t.Context(), prefix, "2:t0", func(page []objectstore.Listed) { n = len(page) })
			if n != c.keys || next != c.next || (err != nil) != (c.says != "") {
				t.Fatalf("%d keys, next %q, %v", n, next, err)
			}
			if err != nil && (!errors.Is(err, objectstore.ErrBadListing) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("error %v, want ErrBadListing that says %q", err, c.says)
			}
		})
	}
}

// If a token leads back to its own page, the walk goes on by the last key of each page, and
// confirms the end.
func TestATokenThatLeadsNowhere(t *testing.T) {
	first := result(true, next("t"), "a", "b")
	f, store := start(t, nil,
		first, first, result(true, next("t"), "c", "d"), result(false, "", "e"), result(false, ""))
	var got []string
	for token, calls := "", 0; token != "" || calls == 0; calls++ {
		var err error
		token, err = store.(objectstore.Pager).WalkPage(t.Context(), "", token, func(page []objectstore.Listed) {
			for _, o := range page {
				got = append(got, string(o.Key))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("walked %q, want %q", got, want)
	}
	var starts []string
	for _, q := range f.queries {
		starts = append(starts, q.Get("continuation-token")+" "+q.Get("start-after"))
	}
	if want := []string{" ", "t ", " b", " d", " e"}; !slices.Equal(starts, want) {
		t.Errorf("asked for tokens and starts %q, want %q", starts, want)
	}
}

// A text that is not a token of a walk is refused.
func TestTokensOfWalks(t *testing.T) {
	for _, token := range []string{"t", "x:t", "-1:t", "3:t", "1"} {
		_, store := start(t, nil, result(false, "", "a"))
		if _, err := store.(objectstore.Pager).WalkPage(t.Context(), "", token, func([]objectstore.Listed) {}); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("%q: %v, want ErrRefused", token, err)
		}
	}
}
