package metarange

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// Intervals of removed keys against prefixes and keys tried one by one.
func TestRemovalAgainstItsDefinition(t *testing.T) {
	rng := seeded.Rand(t)
	removed := map[bool]int{}
	for range 2000 {
		rem := randomRemoved(rng)
		gone, err := rem.removal()
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			first, last := word(rng), word(rng)
			removed[rem.has(first)]++
			expectTakes(t, rem, gone, first)
			if first > last {
				first, last = last, first
			}
			for _, key := range []string{first, last, word(rng)} {
				if first <= key && key <= last {
					expectInterval(t, rem, gone, key, first, last)
				}
			}
		}
	}
	if removed[true] == 0 || removed[false] == 0 {
		t.Errorf("%d keys were removed and %d not", removed[true], removed[false])
	}
}

// has is the naive twin of a removal.
func (r Removed) has(key string) bool {
	return slices.Contains(r.Keys, key) ||
		slices.ContainsFunc(r.Prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

// word returns up to three bytes.
func word(rng *rand.Rand) string {
	b := make([]byte, rng.IntN(4))
	for i := range b {
		b[i] = "\x00/0a\xff"[rng.IntN(5)]
	}
	return string(b)
}

func randomRemoved(rng *rand.Rand) (rem Removed) {
	for range rng.IntN(4) {
		dir := word(rng) + "/"
		if rng.IntN(40) == 0 {
			dir = ""
		}
		rem.Prefixes = append(rem.Prefixes, dir)
		rem.Keys = append(rem.Keys, word(rng))
	}
	return rem
}

// expectTakes asks twice whether a key is removed: the first time may drop intervals.
func expectTakes(t *testing.T, rem Removed, gone removal, key string) {
	t.Helper()
	for range 2 {
		if gone.takes([]byte(key)) != rem.has(key) {
			t.Fatalf("%+q: takes %q = %t", rem, key, !rem.has(key))
		}
	}
}

// expectInterval checks what one key of [first, last] says about all of them.
func expectInterval(t *testing.T, rem Removed, gone removal, key, first, last string) {
	t.Helper()
	if rem.has(key) && !gone.touches(first, last) {
		t.Fatalf("%+q: does not touch [%q, %q], which has %q", rem, first, last, key)
	}
	if !rem.has(key) && gone.covers(first, last) {
		t.Fatalf("%+q: covers [%q, %q], which has %q", rem, first, last, key)
	}
}

func TestSuccessor(t *testing.T) {
	for prefix, want := range map[string]string{
		"": "", "a": "b", "a/": "a0", "a\xff": "b", "\xff\xff": "", "é": "\xc3\xaa", "a\ufffd": "a\xef\xbf\xbe", "\x00": "\x01",
	} {
		if got := successor(prefix); got != want {
			t.Errorf("successor(%q) = %q, want %q", prefix, got, want)
		}
	}
}
