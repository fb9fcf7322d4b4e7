// Package keyset generates large sorted sets of keys for tests and benchmarks. The i-th key
// is computed from i, so that a set of 10^9 keys needs no memory and a listing can start
// anywhere.
//
// The shapes of keys break common ways to split a key space. They are flat and deep, even and
// skewed; some have long common prefixes, characters of one to four bytes, or a first page that
// is unlike the rest.
package keyset

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// maxLen bounds the number of keys in a set: with more, the fractions that keys are made of
// would not be distinct.
const maxLen = 1 << 36

// Set is a sorted set of distinct keys, each valid UTF-8 of 1 to 1024 bytes. It
// is immutable and may be used concurrently.
type Set struct {
	n    int64
	seed uint64
	key  keyFunc
}

// keyFunc appends key i of a set. Keys strictly increase with i.
type keyFunc func(dst []byte, i int64) []byte

// New returns n keys of a shape. The same arguments always give the same keys.
func New(shape string, n int64, seed uint64) (Set, error) {
	if n < 0 || n > maxLen {
		return Set{}, fmt.Errorf("a set of %d keys: want 0 to %d", n, int64(maxLen))
	}
	for _, s := range shapes {
		if s.Name == shape {
			return Set{n: n, seed: seed, key: s.make(n, seed)}, nil
		}
	}
	return Set{}, fmt.Errorf("unknown shape %q: want one of %s", shape, strings.Join(Names(), ", "))
}

// Must is New for a shape and a number that are known to be right. It panics if they are not.
func Must(shape string, n int64, seed uint64) Set {
	set, err := New(shape, n, seed)
	if err != nil {
		panic(err)
	}
	return set
}

// Parse returns the set with a name of the form shape-count or shape-count-seed, such as
// hive-1000000 or md5-10m-7; k, m and g stand for 10^3, 10^6 and 10^9. It reports false if
// name has another form.
func Parse(name string) (Set, bool) {
	parts := strings.Split(name, "-")
	if len(parts) < 2 || len(parts) > 3 {
		return Set{}, false
	}
	n, err := parseCount(parts[1])
	if err != nil {
		return Set{}, false
	}
	var seed uint64
	if len(parts) == 3 {
		if seed, err = strconv.ParseUint(parts[2], 10, 64); err != nil {
			return Set{}, false
		}
	}
	s, err := New(parts[0], n, seed)
	return s, err == nil
}

func parseCount(s string) (int64, error) {
	unit := int64(1)
	for i, suffix := range []string{"k", "m", "g"} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = digits, int64(math.Pow10(3*(i+1)))
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxLen/unit {
		return 0, fmt.Errorf("%q is not a number of keys", s)
	}
	return n * unit, nil
}

// Of returns the set of the given keys, which may be in any order and repeated.
func Of(keys ...string) Set {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	return Set{n: int64(len(keys)), key: func(dst []byte, i int64) []byte { return append(dst, keys[i]...) }}
}

// Len returns the number of keys.
func (s Set) Len() int64 { return s.n }

// AppendKey appends key i, 0 <= i < Len, to dst.
func (s Set) AppendKey(dst []byte, i int64) []byte { return s.key(dst, i) }

// Key returns key i, 0 <= i < Len.
func (s Set) Key(i int64) string { return string(s.key(nil, i)) }

// Rank returns the number of keys that are less than or equal to key, which need not be in the
// set. It is the index of the first key in a listing that starts after key.
func (s Set) Rank(key string) int64 {
	return s.search(func(k []byte) bool { return string(k) > key })
}

// Below returns the number of keys that are less than key.
func (s Set) Below(key string) int64 {
	return s.search(func(k []byte) bool { return string(k) >= key })
}

// search returns the index of the first key for which found is true.
func (s Set) search(found func([]byte) bool) int64 {
	var buf [1024]byte
	return int64(sort.Search(int(s.n), func(i int) bool { return found(s.key(buf[:0], int64(i))) }))
}

// Object is the attributes of the object of a key.
type Object struct {
	Size    int64     // bytes
	ModTime int64     // milliseconds since the Unix epoch
	Hash    [2]uint64 // for the ETag
}

// Object returns the attributes of the object of key i. They depend only on i and the seed of
// the set.
func (s Set) Object(i int64) Object {
	const year = 365 * 24 * 3600 * 1000
	h := mix(s.seed, uint64(i))
	return Object{
		Size:    int64(h >> 40),
		ModTime: epoch + int64(h%year),
		Hash:    [2]uint64{h, mix(h, 1)},
	}
}

// epoch is 2025-01-01T00:00:00Z in milliseconds.
const epoch = 1_735_689_600_000
