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

// write is the naive twin of a store that writes keys so that a reading reads them.
func write(key string, r listxml.Readings) string {
	switch r {
	case literal:
		return key
	case escaped:
		return strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
	default:
		return url.QueryEscape(key)
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
	readings := []listxml.Readings{literal, escaped, query}
	for range 20_000 {
		prefix := some()
		var keys []string
		for range 1 + rng.IntN(3) {
			keys = append(keys, prefix+some())
		}
		for _, r := range readings {
			var texts []string
			for _, key := range keys {
				texts = append(texts, write(key, r))
			}
			if feasible := pageOf(texts...).Feasible(prefix); feasible&r == 0 {
				t.Fatalf("%q, written as %q, is not taken for %03b but %03b", keys, texts, r, feasible)
			}
			for _, other := range readings {
				expectSame(t, texts, other|r)
				expectRead(t, texts, other)
			}
			expectSame(t, texts, anyReading)
		}
	}
}

// expectRead reads a page of texts by one reading, and compares its keys with the naive twin's.
func expectRead(t *testing.T, texts []string, r listxml.Readings) {
	t.Helper()
	p := pageOf(texts...)
	err := p.Read(r)
	if broken := slices.ContainsFunc(texts, func(s string) bool { _, ok := read(s, r); return !ok }); broken != (err != nil) {
		t.Fatalf("%q by %03b: %v", texts, r, err)
	}
	if err != nil {
		return
	}
	for i, text := range texts {
		want, _ := read(text, r)
		if got, ok := listxml.ReadText([]byte(text), r); got != want || !ok || string(p.Objects[i].Key) != want {
			t.Fatalf("%q by %03b is %q and, in a page, %q, want %q", text, r, got, p.Objects[i].Key, want)
		}
		if !listxml.Reads([]byte(text), r, want) || listxml.Reads([]byte(text), r, want+"a") || want != "" && listxml.Reads([]byte(text), r, want[1:]) {
			t.Fatalf("%q by %03b is taken for another key than %q", text, r, want)
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
