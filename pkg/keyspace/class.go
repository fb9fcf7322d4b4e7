package keyspace

import "unicode/utf8"

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

func classOf(c byte) class { return classes[c] }

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
