package listxml_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

const (
	literal, escaped, query = listxml.Literal, listxml.Escaped, listxml.Query
	anyReading              = listxml.AnyReading
)

// pageOf returns a page with the texts of keys.
func pageOf(texts ...string) *listxml.Page {
	p := &listxml.Page{}
	for _, text := range texts {
		p.Objects = append(p.Objects, objectstore.Listed{Key: []byte(text)})
	}
	return p
}

func TestFeasible(t *testing.T) {
	for _, tc := range []struct {
		name, prefix string
		texts        []string
		want         listxml.Readings
	}{
		{"nothing to read", "", []string{"a", "b/c"}, anyReading},
		{"doubtful", "", []string{"a+b", "a%20b"}, anyReading},
		{"= is left by no encoder", "", []string{"a=b+c"}, literal | escaped},
		{": is left by no encoder, in another key", "", []string{"a+b", "a:b"}, literal | escaped},
		{"beyond ASCII", "", []string{"\u00e9+"}, literal | escaped},
		{"a space", "", []string{"a b+"}, literal | escaped},
		{"= is left, but others are escaped", "", []string{"a=b+c%20d"}, anyReading},
		{"no escape", "", []string{"a%2"}, literal},
		{"no escape among escapes", "", []string{"a%20", "a%zz"}, literal},
		{"the prefix shows that they are encoded", "a=", []string{"a%3Db+c"}, escaped | query},
		{"the prefix shows that they are not", "a+", []string{"a+b"}, literal | escaped},
		{"the prefix shows that + is a space", "a ", []string{"a+b"}, query},
		{"the prefix shows that they are literal", "a%20", []string{"a%20b"}, literal},
		{"another prefix", "b", []string{"a%20b"}, 0},
		{"shorter than the prefix", "a%20b", []string{"a%20"}, 0},
		{"a prefix as it is encoded", "a%20b", []string{"a%2520b"}, escaped | query},
	} {
		if got := pageOf(tc.texts...).Feasible(tc.prefix); got != tc.want {
			t.Errorf("%s: %q with prefix %q: %03b, want %03b", tc.name, tc.texts, tc.prefix, got, tc.want)
		}
	}
}

// read is the naive twin of the readings.
func read(text string, r listxml.Readings) (string, bool) {
	switch r {
	case literal:
		return text, true
	case escaped:
		key, err := url.PathUnescape(text)
		return key, err == nil
	default:
		key, err := url.QueryUnescape(text)
		return key, err == nil
	}
}

// TestReadings holds all that is said of readings against their naive twin: what was
// written by one of them is feasible by it, and where they agree they read the same.
func TestReadings(t *testing.T) {
	rng := seeded.Rand(t)
	some := func() string {
		var b strings.Builder
		for range rng.IntN(4) {
			b.WriteString([]string{"a", "+", "%", "%20", "%2B", " ", "=", "/", "2", "\u00e9"}[rng.IntN(10)])
		}
		return b.String()
	}
	write := map[listxml.Readings]func(string) string{
		literal: func(key string) string { return key }, query: url.QueryEscape,
		escaped: func(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "+", "%20") },
	}
	for range 20_000 {
		prefix := some()
		var keys []string
		for range 1 + rng.IntN(3) {
			keys = append(keys, prefix+some())
		}
		for r, write := range write {
			var texts []string
			for _, key := range keys {
				texts = append(texts, write(key))
			}
			feasible := pageOf(texts...).Feasible(prefix)
			if feasible&r == 0 {
				t.Fatalf("%q, written as %q, is not taken for %03b but %03b", keys, texts, r, feasible)
			}
			for _, other := range []listxml.Readings{literal, escaped, query} {
				expectSame(t, texts, other|r)
				p := pageOf(texts...)
				if err := p.Read(other); (err == nil) != !slices.ContainsFunc(texts, func(s string) bool { _, ok := read(s, other); return !ok }) {
					t.Fatalf("%q by %03b: %v", texts, other, err)
				} else if err != nil {
					continue
				}
				for i, text := range texts {
					want, _ := read(text, other)
					if got, ok := listxml.ReadText([]byte(text), other); got != want || !ok || string(p.Objects[i].Key) != want ||
						!listxml.Reads([]byte(text), other, want) || listxml.Reads([]byte(text), other, want+"a") || want != "" && listxml.Reads([]byte(text), other, want[1:]) {
						t.Fatalf("%q by %03b is %q, want %q", text, other, got, want)
					}
				}
			}
			expectSame(t, texts, anyReading)
		}
	}
}

// expectSame checks whether the readings of a set are said to agree if they do, and that
// a doubtful key is one that they do not agree on.
func expectSame(t *testing.T, texts []string, set listxml.Readings) {
	t.Helper()
	p := pageOf(texts...)
	differ := func(text string) bool {
		seen := map[string]bool{}
		for _, r := range []listxml.Readings{literal, escaped, query} {
			if key, ok := read(text, r); set&r != 0 && ok {
				seen[key] = true
			} else if set&r != 0 {
				seen["broken: "+text] = true
			}
		}
		return len(seen) > 1
	}
	if p.Agree(set) == slices.ContainsFunc(texts, differ) && set&(set-1) != 0 {
		t.Fatalf("%03b agree on %q: %v", set, texts, p.Agree(set))
	}
	for n := 0; ; n++ {
		text, ok := p.Doubtful(set, n)
		if !ok {
			break
		}
		if !differ(string(text)) {
			t.Fatalf("%q of %q is doubtful to %03b", text, texts, set)
		}
	}
}
