package metarange

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// Intervals of removed keys against prefixes and keys tried one by one.
func TestRemovalAgainstItsDefinition(t *testing.T) {
	r := seeded.Rand(t)
	word := func() string {
		b := make([]byte, r.IntN(4))
		for i := range b {
			b[i] = "\x00/0a\xff"[r.IntN(5)]
		}
		return string(b)
	}
	var yes, no int
	for trial := range 2000 {
		var rem Removed
		for range r.IntN(4) {
			if dir := word() + "/"; r.IntN(40) > 0 {
				rem.Prefixes = append(rem.Prefixes, dir)
			} else {
				rem.Prefixes = append(rem.Prefixes, "")
			}
			rem.Keys = append(rem.Keys, word())
		}
		has := func(key string) bool {
			return slices.Contains(rem.Keys, key) ||
				slices.ContainsFunc(rem.Prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		}
		gone, err := rem.removal()
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("trial %d: %+q", trial, rem)
		for range 50 {
			key, last := word(), word()
			rest := gone
			for range 2 { // the first time may drop intervals
				if rest.takes([]byte(key)) != has(key) {
					t.Fatalf("%s: takes %q = %t", name, key, !has(key))
				}
			}
			if key > last {
				key, last = last, key
			}
			if has(key) {
				yes++
				if !gone.touches(key, last) {
					t.Fatalf("%s: does not touch [%q, %q]", name, key, last)
				}
			} else {
				no++
				if gone.covers(key, last) {
					t.Fatalf("%s: covers [%q, %q]", name, key, last)
				}
			}
			if between := word(); key <= between && between <= last {
				if has(between) && !gone.touches(key, last) || !has(between) && gone.covers(key, last) {
					t.Fatalf("%s: %q is in [%q, %q]", name, between, key, last)
				}
			}
		}
	}
	if yes == 0 || no == 0 {
		t.Errorf("%d keys were removed and %d not", yes, no)
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
