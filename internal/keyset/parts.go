package keyset

import (
	"math/bits"
	"sort"
	"strings"
)

// mix returns a hash of seed and x: the finalizer of splitmix64.
func mix(seed, x uint64) uint64 {
	z := seed + (x+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fraction returns a pseudo-random point in the i-th of n equal parts of [0, 1), in units of
// 2^-64. Points increase with i, and their distance is at least an eighth of a part. That is
// 2^-39 for maxLen keys, so that 39 bits of digits distinguish keys.
func fraction(seed uint64, i, n int64) uint64 {
	width := ^uint64(0) / uint64(n)
	jitter, _ := bits.Mul64(mix(seed, uint64(i)), width-width/8)
	return uint64(i)*width + jitter
}

// Alphabets in bytewise order, so that digits of fractions sort as the fractions.
const (
	decimal = "0123456789"
	hex     = "0123456789abcdef"
	base32  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's, which ULIDs use
	base64  = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	noZ     = "abcdefghijklmnopqrstuvwxy"
)

// appendDigits appends the first digits of a fraction, and returns the rest of the
// fraction.
func appendDigits(dst []byte, f uint64, alphabet string, digits int) ([]byte, uint64) {
	var digit uint64
	for range digits {
		digit, f = bits.Mul64(f, uint64(len(alphabet)))
		dst = append(dst, alphabet[digit])
	}
	return dst, f
}

// appendRunes is appendDigits for an alphabet of characters of any length.
func appendRunes(dst []byte, f uint64, alphabet []string, digits int) ([]byte, uint64) {
	var digit uint64
	for range digits {
		digit, f = bits.Mul64(f, uint64(len(alphabet)))
		dst = append(dst, alphabet[digit]...)
	}
	return dst, f
}

// appendNoise appends at most 10 characters that hash h determines. After a fixed number of
// digits they do not change the order of keys.
func appendNoise(dst []byte, h uint64, alphabet string, digits int) []byte {
	dst, _ = appendDigits(dst, h, alphabet, digits)
	return dst
}

// appendPadded appends v with leading zeros.
func appendPadded(dst []byte, v int64, width int) []byte {
	start := len(dst)
	dst = append(dst, "0000000000000000000"[:width]...)
	for at := len(dst) - 1; at >= start && v > 0; at-- {
		dst[at] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

// level is one level of directories: how the n keys below a node are divided among its
// children, which are ordered by name.
type level struct {
	children int
	// name appends the name of child c, with its separator. Names increase with c, and none
	// is a prefix of another.
	name func(dst []byte, c int) []byte
	// share returns how many of the n keys belong to children before c: 0 for 0, n for
	// children, and non-decreasing in between. node is a hash of the path to the node.
	share func(node uint64, n int64, c int) int64
}

// leaf appends what follows the directories in key i of the n in a directory.
type leaf func(dst []byte, node uint64, i, n int64) []byte

// tree returns the keys of a tree of directories.
func tree(n int64, seed uint64, root string, levels []level, leaf leaf) keyFunc {
	// The first level is the largest, and every key needs it: it is computed once.
	first := make([]int64, levels[0].children+1)
	for c := range first {
		first[c] = levels[0].share(seed, n, c)
	}
	return func(dst []byte, i int64) []byte {
		dst = append(dst, root...)
		node, n := seed, n
		for depth, l := range levels {
			before := func(c int) int64 { return first[c] }
			if depth > 0 {
				before = func(c int) int64 { return l.share(node, n, c) }
			}
			c := sort.Search(l.children-1, func(c int) bool { return before(c+1) > i })
			start, end := before(c), before(c+1)
			i, n = i-start, end-start
			node = mix(node, uint64(c))
			dst = l.name(dst, c)
		}
		return leaf(dst, node, i, n)
	}
}

// evenly divides keys about evenly: a child gets up to twice the mean. There may be up to
// 1024 children.
func evenly(children int) func(uint64, int64, int) int64 {
	const unit = 1 << 10
	return func(node uint64, n int64, c int) int64 {
		switch c {
		case 0:
			return 0
		case children:
			return n
		}
		jitter := int64(mix(node, uint64(c)) % unit)
		return n * (int64(c)*unit + jitter - unit/2) / (int64(children) * unit) // the product is at most 2^36 * 2^20
	}
}

// along divides keys along a non-decreasing curve from f(0) = 0 to f(1) = 1.
func along(children int, f func(float64) float64) func(uint64, int64, int) int64 {
	before := make([]float64, children)
	for c := range before {
		before[c] = f(float64(c) / float64(children))
	}
	return func(_ uint64, n int64, c int) int64 {
		if c == children {
			return n
		}
		return int64(float64(n) * before[c])
	}
}

// numbered returns names made of prefix, number and suffix.
func numbered(prefix string, width int, suffix string) func([]byte, int) []byte {
	return func(dst []byte, c int) []byte {
		return append(appendPadded(append(dst, prefix...), int64(c), width), suffix...)
	}
}

// from returns names from a table.
func from(names []string) func([]byte, int) []byte {
	return func(dst []byte, c int) []byte { return append(dst, names[c]...) }
}

// flat returns keys made of root, digits of a fraction, and noise.
func flat(n int64, seed uint64, root, alphabet string, digits, noise int) keyFunc {
	return func(dst []byte, i int64) []byte {
		dst = append(dst, root...)
		dst, _ = appendDigits(dst, fraction(seed, i, n), alphabet, digits)
		return appendNoise(dst, mix(^seed, uint64(i)), alphabet, noise)
	}
}

// repeated returns n bytes of s, repeated.
func repeated(s string, n int) string { return strings.Repeat(s, n/len(s)+1)[:n] }
