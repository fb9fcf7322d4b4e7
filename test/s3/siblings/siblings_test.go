package siblings_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// TestSets checks the properties of sets, and that a server can hold them.
func TestSets(t *testing.T) {
	r := seeded.Rand(t)
	for _, rules := range []siblings.Rules{{}, {ObjectAndDirectory: true}, {Markers: true}, {ObjectAndDirectory: true, Markers: true}} {
		check(t, siblings.Reported(), rules, 3100, 3100)
		for range 200 {
			check(t, siblings.Small(r, rules), rules, 2, 500)
		}
		for range 5 {
			check(t, siblings.Large(r, rules), rules, 1998, 7000)
		}
	}
}

func check(t *testing.T, set siblings.Set, rules siblings.Rules, fewest, most int) {
	t.Helper()
	if n := len(set.Keys); n < fewest || n > most {
		t.Errorf("%s: %d keys, want %d to %d", set.Name, n, fewest, most)
	}
	for i, key := range set.Keys {
		if i > 0 && key <= set.Keys[i-1] || key == "" || !utf8.ValidString(key) {
			t.Fatalf("%s: key %q follows %q", set.Name, key, set.Keys[max(i, 1)-1])
		}
	}
	directories := directoriesOf(set.Keys)
	for _, key := range set.Keys {
		if directories[key] && !rules.ObjectAndDirectory || strings.HasSuffix(key, "/") && !rules.Markers {
			t.Errorf("%s: a server with %+v cannot hold key %q", set.Name, rules, key)
		}
	}
}

// directoriesOf returns all directories of keys, without the slash at the end.
func directoriesOf(keys []string) map[string]bool {
	directories := map[string]bool{}
	for _, key := range keys {
		for at := range key {
			if key[at] == '/' && at < len(key)-1 {
				directories[key[:at]] = true
			}
		}
	}
	return directories
}

// TestEveryByteNearTheSlash checks that small sets have siblings with every printable byte before
// '0', and the kinds of keys that only some servers can hold.
func TestEveryByteNearTheSlash(t *testing.T) {
	r := seeded.Rand(t)
	var keys []string
	for range 200 {
		keys = append(keys, siblings.Small(r, siblings.Rules{ObjectAndDirectory: true, Markers: true}).Keys...)
	}
	for b := byte(' '); b <= '0'; b++ {
		if !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "data"+string(b)) }) {
			t.Errorf("no set has a sibling of data/ with %q", b)
		}
	}
	for _, key := range []string{"data", "data/"} {
		if !slices.Contains(keys, key) {
			t.Errorf("no set has the key %q", key)
		}
	}
}

// TestListings checks that listings have valid bounds, that they include no key, some keys and all
// keys about equally often, and that Holds is right.
func TestListings(t *testing.T) {
	r := seeded.Rand(t)
	var empty, some, all int
	for range 100 {
		set := siblings.Small(r, siblings.Rules{Markers: true})
		for range 20 {
			l := set.Listing(r)
			if !utf8.ValidString(l.Prefix+l.After+l.Upto) || l.Upto != "" && l.Upto <= l.After {
				t.Errorf("invalid listing: %v", l)
			}
			n := 0
			for _, key := range set.Keys {
				if l.Holds(key) {
					n++
				}
			}
			switch n {
			case 0:
				empty++
			case len(set.Keys):
				all++
			default:
				some++
			}
		}
	}
	if empty == 0 || all == 0 || some < 1000 {
		t.Errorf("2,000 listings: %d have no key, %d have some, %d have all", empty, some, all)
	}
	l := siblings.Listing{Prefix: "a", After: "a!", Upto: "a/1"}
	for key, want := range map[string]bool{"a!": false, "a!0": true, "a/1": true, "a/10": false, "b": false} {
		if l.Holds(key) != want {
			t.Errorf("%v holds %q: %t", l, key, !want)
		}
	}
}
