package keyspace_test

import (
	"fmt"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

func TestPairsClipToWhatFollows(t *testing.T) {
	var p keyspace.Pairs
	for day := range 5 {
		var keys []string
		for hour := range 24 {
			keys = append(keys, fmt.Sprintf("day=%d/hour=%02d/x", day, hour))
		}
		p.Add(append(keys, fmt.Sprintf("day=%d/hour=00/x", day+1)))
	}
	const from = len("day=9/hour=")
	for key, want := range map[string]string{
		"day=9/hour=23/x":  "day=9/hour=23/x",
		"day=9/hour=19/x":  "day=9/hour=19/x",
		"day=9/hour=25/x":  "day=9/hour=23",
		"day=9/hour=29":    "day=9/hour=23",
		"day=9/hour=x":     "day=9/hour=2",
		"day=9/":           "day=9/",
		"day=9/hours=27/x": "day=9/hours=27/x", // nothing is known of that
	} {
		if got := p.Clip(key, from); got != want {
			t.Errorf("Clip(%q) = %q, want %q", key, got, want)
		}
	}
	if got := new(keyspace.Pairs).Clip("day=9/hour=25", from); got != "day=9/hour=25" {
		t.Errorf("without knowledge: %q", got)
	}
}

func TestHullReportsNews(t *testing.T) {
	var h keyspace.Hull
	for dir := range 5 {
		keys := []string{fmt.Sprintf("dir-%d/img-0000", dir), fmt.Sprintf("dir-%d/img-0099", dir), fmt.Sprintf("dir-%d/img-0000", dir+1)}
		if news := h.Add(keys); news && dir > 2 {
			t.Errorf("directory %d is like the others", dir)
		}
	}
	if h.Add([]string{"dir-6/img-0000", "dir-6/img-0199"}) != true {
		t.Error("no directory had more than 100 images")
	}
}

func TestHullKnowsMissingBytesOnceManyKeysShowThem(t *testing.T) {
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // no I, L, O or U
	var h keyspace.Hull
	key := func(i int) string {
		return fmt.Sprintf("%c%c", letters[i/len(letters)%len(letters)], letters[i%len(letters)])
	}
	size := func() int {
		var a keyspace.Alphabet
		a.Reset(1, "0Z", "Z0")
		h.Narrow(&a)
		return a.Size(1)
	}
	var keys []string
	for i := range 3 * len(letters) {
		keys = append(keys, key(i))
	}
	h.Add(keys)
	if n := size(); n != 36 {
		t.Errorf("%d digits after few keys, want all of the class", n)
	}
	keys = nil
	for i := 3 * len(letters); i < 12*len(letters); i++ {
		keys = append(keys, key(i))
	}
	h.Add(keys)
	if n := size(); n != len(letters) {
		t.Errorf("%d digits after many keys, want the %d that there are", n, len(letters))
	}
}
