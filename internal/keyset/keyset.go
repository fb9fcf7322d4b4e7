// Package keyset generates sorted sets of keys that are not stored: the i-th key
// is a function of i, so that a set of 10^9 keys needs no memory and a listing
// can start anywhere.
//
// The shapes are those that break the usual ways to split a key space: flat and
// deep, even and skewed, with long common prefixes, with characters of one to
// four bytes, with a first page that tells nothing about the rest.
package keyset

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// maxLen bounds the number of keys in a set: beyond it the fractions that keys
// are made of would no longer be distinct.
const maxLen = 1 << 36

// Set is a sorted set of distinct keys, each valid UTF-8 of 1 to 1024 bytes. It
// is immutable and may be used concurrently.
type Set struct {
	n    int64
	seed uint64
	key  keyFunc
}

// keyFunc appends key i of a set; keys increase strictly with i.
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
	return Set{}, fmt.Errorf("no shape is called %q: want one of %s", shape, strings.Join(Names(), ", "))
}

// Parse returns the set that a name of the form shape-count or shape-count-seed
// stands for, such as hive-1000000 or md5-10m-7; k, m and g stand for thousands,
// millions and thousands of millions. It reports false if name has another form.
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
		return 0, fmt.Errorf("%q is no number of keys", s)
	}
	return n * unit, nil
}

// Of returns the set of the given keys, in any order, duplicates dropped.
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

// Rank returns the number of keys that are at most key, which need not be one of
// the set: it is the index of the first key of a listing that starts after key.
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

// Object is what a store tells about the object of a key.
type Object struct {
	Size    int64     // bytes
	ModTime int64     // milliseconds since the Unix epoch
	Hash    [2]uint64 // for the ETag
}

// Object returns the attributes of the object of key i. They depend on i, on
// the set's seed and on nothing else.
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
