package keyspace

import (
	"math/bits"
	"unicode/utf8"
)

// class is a set of kinds of characters that keys use together.
type class uint8

const (
	digits class = 1 << iota
	lowerHex
	upperHex
	lower
	upper
	high // bytes of characters beyond ASCII
)

// classes holds the class of each byte.
var classes = func() (all [256]class) {
	for c := range all {
		all[c] = kind(byte(c))
	}
	return all
}()

func kind(c byte) class {
	switch {
	case c >= '0' && c <= '9':
		return digits
	case c >= 'a' && c <= 'f':
		return lowerHex
	case c >= 'g' && c <= 'z':
		return lower | lowerHex
	case c >= 'A' && c <= 'F':
		return upperHex
	case c >= 'G' && c <= 'Z':
		return upper | upperHex
	case c >= utf8.RuneSelf:
		return high
	default:
		return 0
	}
}

// classBytes holds the members of each class, by its bit.
var classBytes = [...]byteSet{
	span('0', '9'), span('a', 'f'), span('A', 'F'), span('a', 'z'), span('A', 'Z'), {},
}

func (c class) bytes() (s byteSet) {
	for i := range classBytes {
		if c&(1<<i) != 0 {
			s.union(classBytes[i])
		}
	}
	return s
}

// byteSet is a set of byte values.
type byteSet [4]uint64

func (s *byteSet) add(c byte)           { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool      { return s[c>>6]&(1<<(c&63)) != 0 }
func (s *byteSet) union(o byteSet)      { s[0] |= o[0]; s[1] |= o[1]; s[2] |= o[2]; s[3] |= o[3] }
func (s *byteSet) intersect(o *byteSet) { s[0] &= o[0]; s[1] &= o[1]; s[2] &= o[2]; s[3] &= o[3] }

func (s *byteSet) size() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}

// rank returns how many members are less than c.
func (s *byteSet) rank(c byte) int {
	n := 0
	for i := range int(c >> 6) {
		n += bits.OnesCount64(s[i])
	}
	return n + bits.OnesCount64(s[c>>6]&(1<<(c&63)-1))
}

// at returns the member of the given rank.
func (s *byteSet) at(rank int) byte {
	for i, w := range s {
		n := bits.OnesCount64(w)
		if rank >= n {
			rank -= n
			continue
		}
		for ; rank > 0; rank-- {
			w &= w - 1
		}
		return byte(i<<6 + bits.TrailingZeros64(w))
	}
	return 0xFF
}

func span(lo, hi byte) (s byteSet) {
	for c := int(lo); c <= int(hi); c++ {
		s.add(byte(c))
	}
	return s
}
