package synths3_test

import (
	"encoding/xml"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

// Each quirk has its effect on pages of four of the keys a to f.
func TestQuirks(t *testing.T) {
	page := func(more string) func(q url.Values) url.Values {
		return func(q url.Values) url.Values {
			for pair := range strings.SplitSeq(more, "&") {
				name, value, _ := strings.Cut(pair, "=")
				q.Set(name, value)
			}
			return q
		}
	}
	none := func(q url.Values) url.Values { return q }
	for _, c := range []struct {
		quirk synths3.Quirk
		query func(url.Values) url.Values
		keys  string // of the page
		more  bool   // IsTruncated
		check func(result) bool
	}{
		{"", none, "abcd", true, func(r result) bool { return r.NextContinuationToken != "" && *r.KeyCount == 4 }},
		{synths3.InclusiveStart, page("start-after=b"), "bcde", true, nil},
		{synths3.IgnoredStart, page("start-after=b"), "abcd", true, nil},
		{synths3.Unsorted, none, "acbd", true, nil},
		{synths3.Duplicates, none, "abbc", true, nil},
		{synths3.EndsEarly, none, "abcd", false, nil},
		{synths3.NeverEnds, page("start-after=f"), "", true, func(r result) bool { return r.NextContinuationToken != "" }},
		{synths3.NoToken, none, "abcd", true, func(r result) bool { return r.NextContinuationToken == "" }},
		{synths3.SkippingToken, page("continuation-token=a2I="), "def", false, nil},
		{synths3.NoEncoding, none, "abcd", true, func(r result) bool { return r.EncodingType == "" }},
		{synths3.SilentEncoding, none, "abcd", true, func(r result) bool { return r.EncodingType == "" }},
		{synths3.NoKeyCount, none, "abcd", true, func(r result) bool { return r.KeyCount == nil }},
		{synths3.WrongKeyCount, none, "abcd", true, func(r result) bool { return *r.KeyCount == 2 }},
		{synths3.EmptyPages, none, "", true, func(r result) bool { return r.NextContinuationToken != "" }},
		{synths3.EmptyPages, page("continuation-token=a2I="), "cdef", false, nil},
		{synths3.ShortPages, none, "ab", true, nil},
	} {
		t.Run(string(c.quirk), func(t *testing.T) {
			s, base := start(t, synths3.Config{Sets: map[string]keyset.Set{"set": keyset.Of("a", "b", "c", "d", "e", "f")}})
			if err := s.SetFaults(synths3.Faults{Quirks: synths3.ParseQuirks(string(c.quirk))}); err != nil {
				t.Fatal(err)
			}
			r := list(t, base+"/set", c.query(url.Values{"max-keys": {"4"}, "encoding-type": {"url"}}))
			if got := strings.Join(r.items(t), ""); got != c.keys || r.IsTruncated != c.more || c.check != nil && !c.check(r) {
				t.Errorf("keys %q, page %+v", got, r)
			}
			if n := s.Counters().QuirkyPages; (n == 1) != (c.quirk != "") {
				t.Errorf("%d pages with quirks are counted", n)
			}
		})
	}
}

// These quirks concern the encoding of keys.
func TestQuirksOfText(t *testing.T) {
	for _, c := range []struct {
		quirks string
		want   string
	}{
		{"", "<Key>a+%01</Key>"},
		{"silent_encoding", "<Key>a+%01</Key>"},
		{"no_encoding", "<Key>a &#x1;</Key>"},
		{"no_encoding,replaced_controls", "<Key>a \ufffd</Key>"},
		{"no_encoding,raw_controls", "<Key>a \x01</Key>"},
		{"unclosed", "<Key>a+%01</Key>"},
	} {
		s, base := start(t, synths3.Config{Sets: map[string]keyset.Set{"set": keyset.Of("a \x01")}})
		if err := s.SetFaults(synths3.Faults{Quirks: synths3.ParseQuirks(c.quirks)}); err != nil {
			t.Fatal(err)
		}
		body, err := get(t, base+"/set?list-type=2&encoding-type=url")
		if err != nil || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %v, %s", c.quirks, err, body)
		}
		closed := strings.HasSuffix(string(body), "</ListBucketResult>")
		if closed != (c.quirks != "unclosed") {
			t.Errorf("%s: the root element is closed: %v", c.quirks, closed)
		}
		if c.quirks == "unclosed" && xml.Unmarshal(body, new(result)) == nil {
			t.Error("the page is well-formed")
		}
	}
}

// Quirks that S3 allows neither lose nor repeat keys.
func TestHarmlessQuirks(t *testing.T) {
	for _, quirk := range []synths3.Quirk{synths3.ShortPages, synths3.EmptyPages, synths3.SilentEncoding} {
		s, base := start(t, synths3.Config{})
		if err := s.SetFaults(synths3.Faults{Quirks: []synths3.Quirk{quirk}}); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range int64(500) {
			want = append(want, keyOf(t, "padded", 500, i))
		}
		query := url.Values{"max-keys": {"30"}}
		if got := walk(t, base+"/padded-500", query, true); !slices.Equal(got, want) {
			t.Errorf("%s: %d keys", quirk, len(got))
		}
	}
}

// About the configured share of pages has quirks.
func TestQuirkShare(t *testing.T) {
	s, base := start(t, synths3.Config{})
	if err := s.SetFaults(synths3.Faults{Quirks: []synths3.Quirk{synths3.NoKeyCount}, QuirkShare: 0.3, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		list(t, base+"/md5-1", url.Values{})
	}
	if n := s.Counters().QuirkyPages; n < 60 || n > 120 {
		t.Errorf("%d of 300 pages have quirks", n)
	}
}
