package keyset_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/keyset"
)

// each runs f for every shape with sets of several sizes.
func each(t *testing.T, f func(t *testing.T, s keyset.Set, keys []string)) {
	for _, shape := range keyset.Names() {
		t.Run(shape, func(t *testing.T) {
			for seed, n := range []int64{0, 1, 2, 9, 10, 11, 999, 1000, 1001, 20_000} {
				s, err := keyset.New(shape, n, uint64(seed))
				if err != nil {
					t.Fatal(err)
				}
				keys := make([]string, n)
				for i := range keys {
					keys[i] = s.Key(int64(i))
				}
				f(t, s, keys)
			}
		})
	}
}

func TestKeysAreSortedDistinctAndValid(t *testing.T) {
	each(t, func(t *testing.T, s keyset.Set, keys []string) {
		if s.Len() != int64(len(keys)) {
			t.Fatalf("Len() = %d, want %d", s.Len(), len(keys))
		}
		for i, key := range keys {
			if i > 0 && key <= keys[i-1] {
				t.Fatalf("key %d of %d, %q, does not follow %q", i, len(keys), key, keys[i-1])
			}
			if !utf8.ValidString(key) || len(key) < 1 || len(key) > 1024 {
				t.Fatalf("key %d of %d: %q", i, len(keys), key)
			}
		}
	})
}

// Rank and Below count keys, for keys of the set and others.
func TestRankCountsKeys(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	each(t, func(t *testing.T, s keyset.Set, keys []string) {
		probes := []string{"", "\x00", "z", "\U0010ffff"}
		for range min(200, len(keys)) {
			key := keys[rnd.IntN(len(keys))]
			probes = append(probes, key, key+"\x00", key[:rnd.IntN(len(key))], strings.TrimSuffix(key, key[len(key)-1:])+"~")
		}
		for _, probe := range probes {
			upto, found := slices.BinarySearch(keys, probe)
			below := upto
			if found {
				upto++
			}
			if got := s.Rank(probe); got != int64(upto) {
				t.Fatalf("%d keys: Rank(%q) = %d, want %d", len(keys), probe, got, upto)
			}
			if got := s.Below(probe); got != int64(below) {
				t.Fatalf("%d keys: Below(%q) = %d, want %d", len(keys), probe, got, below)
			}
		}
	})
}

// Sets of 10^9 keys and more cannot be compared with a list; keys next to each
// other must still be in order, and Rank must still be the inverse of Key.
func TestHugeSets(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, shape := range keyset.Names() {
		for _, n := range []int64{1_000_000_000, keyset.MaxLen} {
			s, err := keyset.New(shape, n, 5)
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				i := rnd.Int64N(n-1) + 1
				before, key := s.Key(i-1), s.Key(i)
				if before >= key {
					t.Fatalf("%s, %d keys: key %d, %q, does not follow %q", shape, n, i, key, before)
				}
				if got := s.Rank(key); got != i+1 {
					t.Fatalf("%s, %d keys: Rank(Key(%d)) = %d", shape, n, i, got)
				}
			}
		}
	}
}

func TestSeedsAndAttributes(t *testing.T) {
	a, _ := keyset.New("md5", 1000, 1)
	b, _ := keyset.New("md5", 1000, 2)
	if a.Key(500) == b.Key(500) || a.Object(500) == b.Object(500) {
		t.Error("two seeds give the same set")
	}
	if o := a.Object(3); o != a.Object(3) || o == a.Object(4) || o.Size < 0 ||
		time.UnixMilli(o.ModTime).UTC().Year() != 2025 {
		t.Errorf("object: %+v", o)
	}
}

func TestParse(t *testing.T) {
	for name, n := range map[string]int64{
		"md5-10": 10, "hive-2k": 2000, "uuid-10m-7": 10_000_000, "zruns-1g": 1_000_000_000, "deep-0": 0,
	} {
		if s, ok := keyset.Parse(name); !ok || s.Len() != n {
			t.Errorf("Parse(%q) = %d keys, %v", name, s.Len(), ok)
		}
	}
	for _, name := range []string{"", "md5", "md6-10", "md5-", "md5-x", "md5--1", "md5-10-x", "md5-10-1-1", "md5-99g", "md5-99999999g"} {
		if _, ok := keyset.Parse(name); ok {
			t.Errorf("Parse(%q) returned a set", name)
		}
	}
	seven, _ := keyset.Parse("uuid-1k-7")
	want, _ := keyset.New("uuid", 1000, 7)
	if seven.Key(999) != want.Key(999) {
		t.Error("the set does not have the seed in the name")
	}
}

func TestOf(t *testing.T) {
	s := keyset.Of("b", "a", "b")
	if s.Len() != 2 || s.Key(0) != "a" || s.Key(1) != "b" || s.Rank("a") != 1 {
		t.Errorf("%d keys, Rank(a) = %d", s.Len(), s.Rank("a"))
	}
}

func BenchmarkKey(b *testing.B) {
	for _, shape := range keyset.Names() {
		b.Run(shape, func(b *testing.B) {
			s, err := keyset.New(shape, 1_000_000, 1)
			if err != nil {
				b.Fatal(err)
			}
			var key []byte
			b.ReportAllocs()
			for i := range int64(b.N) {
				key = s.AppendKey(key[:0], i%s.Len())
			}
		})
	}
}
