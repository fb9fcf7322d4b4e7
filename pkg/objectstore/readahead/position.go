package readahead

import (
	"bytes"
	"math"
	"math/bits"
	"unicode/utf8"
)

// The distance between two keys is measured as if keys were numbers: at every
// offset stands a digit of the alphabet that keys are seen to use there. Keys of
// a kilobyte make numbers of thousands of bits, so distances are kept as
// logarithms; that of an offset's unit is its weight.

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

func classOf(c byte) class {
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

// byteSet is a set of byte values.
type byteSet [4]uint64

func (s *byteSet) add(c byte)           { s[c>>6] |= 1 << (c & 63) }
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

// alphabet holds what keys are thought to use at each offset, from base on.
// Offsets beyond sets have none: keys differ no further for it.
type alphabet struct {
	base    int
	sets    []byteSet
	weights []float64 // natural logarithm of the unit of each offset
}

// reset makes the alphabet that the keys show, for offsets from base on. Each
// offset has all of the classes of the words that lie over it, so that what was
// not seen yet is expected all the same; separators are only what was seen.
func (a *alphabet) reset(base int, keys []string, scratch *[]class) {
	a.base = base
	length := 0
	for _, k := range keys {
		length = max(length, len(k))
	}
	n := max(0, length-base)
	a.sets = append(a.sets[:0], make([]byteSet, n)...)
	classes := append((*scratch)[:0], make([]class, n)...)
	*scratch = classes
	for _, k := range keys {
		a.show(k, classes)
	}
	for i, c := range classes {
		a.sets[i].union(c.bytes())
	}
	a.weigh()
}

// show adds what one key shows.
func (a *alphabet) show(k string, classes []class) {
	for i := 0; i < len(k); {
		end, all := i, class(0)
		for end < len(k) && classOf(k[end]) != 0 {
			all |= classOf(k[end])
			end++
		}
		name := all&(digits|high) == 0 && (all&(lower|lowerHex) == 0 || all&(upper|upperHex) == 0)
		for j := i; j < end; j++ {
			if j < a.base {
				continue
			}
			if name && (j > i || end < len(k) && k[end] == '=') {
				a.sets[j-a.base].add(k[j])
				continue
			}
			classes[j-a.base] |= all
			a.addHigh(k, j)
		}
		if i = end; i < len(k) {
			if i >= a.base {
				a.sets[i-a.base].add(k[i])
			}
			i++
		}
	}
}

// addHigh adds a byte beyond ASCII with its like: leading bytes from the least
// seen to the greatest seen are joined by the hull; continuation bytes are all.
func (a *alphabet) addHigh(k string, i int) {
	switch c := k[i]; {
	case c < utf8.RuneSelf:
	case utf8.RuneStart(c):
		a.sets[i-a.base].union(span(max(0xC2, c-3), min(0xF4, c+3)))
	default:
		a.sets[i-a.base].union(span(0x80, 0xBF))
	}
}

func (a *alphabet) weigh() {
	a.weights = a.weights[:0]
	w := 0.0
	for i := range a.sets {
		w -= math.Log(float64(max(1, a.sets[i].size())))
		a.weights = append(a.weights, w)
	}
}

// distance returns the logarithm of how far hi lies above lo; "" is the end of
// all keys. Where it is none that the alphabet knows it is -Inf.
func (a *alphabet) distance(lo, hi string) float64 {
	sum, unit, started := 0.0, 0.0, false
	for i := range a.sets {
		at := a.base + i
		var d int
		switch {
		case hi != "":
			d = a.digit(hi, at) - a.digit(lo, at)
		case i == 0:
			d = a.sets[i].size() - a.digit(lo, at)
		default:
			d = -a.digit(lo, at)
		}
		if !started && d == 0 {
			continue
		}
		if !started {
			started, unit = true, a.weights[i]
		}
		scale := a.weights[i] - unit
		if scale < -45 { // no longer visible in a float64, unless all before cancels out
			if sum > 1e-12 {
				break
			}
			// Rescale: what was summed so far is less than what follows.
			unit, sum = a.weights[i], sum*math.Exp(-scale)
			scale = 0
		}
		sum += float64(d) * math.Exp(scale)
	}
	if sum <= 0 {
		return math.Inf(-1)
	}
	return unit + math.Log(sum)
}

func (a *alphabet) digit(k string, at int) int {
	if at >= len(k) {
		return 0
	}
	return a.sets[at-a.base].rank(k[at])
}

// precision is how many digits of a sum are kept below its first.
const precision = 3

// add returns the key that lies the distance above k, to a few digits, or false
// if the alphabet has no room for it.
func (a *alphabet) add(k string, distance float64) (string, bool) {
	first := 0
	for first < len(a.weights) && a.weights[first] > distance {
		first++
	}
	if first == len(a.weights) {
		return "", false
	}
	last := min(first+precision, len(a.weights)-1)
	sum := make([]int, last+1)
	for i := range sum {
		sum[i] = a.digit(k, a.base+i)
	}
	rest := distance
	for i := first; i <= last; i++ {
		d := math.Floor(math.Exp(rest-a.weights[i]) + 1e-9)
		sum[i] += int(d)
		left := math.Exp(rest-a.weights[i]) - d
		if left <= 1e-9 {
			break
		}
		rest = a.weights[i] + math.Log(left)
	}
	top := first
	for i := last; i >= 0; i-- { // carry
		size := max(1, a.sets[i].size())
		if sum[i] < size {
			continue
		}
		if i == 0 {
			return "", false
		}
		sum[i-1] += sum[i] / size
		sum[i] %= size
		top = min(top, i-1)
	}
	at := a.base + top
	if at > len(k) {
		return "", false
	}
	b := append(make([]byte, 0, at+precision+4), k[:at]...)
	for i := top; i <= last; i++ {
		if a.sets[i].size() == 0 {
			break
		}
		b = append(b, a.sets[i].at(sum[i]))
	}
	return validKey(b), true
}

// tops returns guesses at where the keys end that begin like k: each has twice
// as many greatest bytes as the one before.
func (a *alphabet) tops(k string) (keys []string) {
	run := a.base
	for run < len(k) && run-a.base < len(a.sets) && a.digit(k, run) == a.sets[run-a.base].size()-1 {
		run++
	}
	if run-a.base >= len(a.sets) {
		return nil
	}
	set := &a.sets[run-a.base]
	top := set.at(set.size() - 1)
	if run > 0 {
		top = max(top, k[run-1])
	}
	for n := 1; n <= 16; n *= 2 {
		key := validKey(append([]byte(k[:run]), bytes.Repeat([]byte{top}, n)...))
		if key > k {
			keys = append(keys, key)
		}
	}
	return keys
}

// validKey returns b as valid UTF-8: a character that is cut off is completed
// with its least continuation, bytes that are no character end the key.
func validKey(b []byte) string {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r != utf8.RuneError || n > 1 {
			i += n
			continue
		}
		for range utf8.UTFMax - 1 {
			if i+4 < len(b) { // not at the end: no completing
				break
			}
			b = append(b[:len(b):len(b)], 0x80)
			if utf8.Valid(b[i:]) {
				return string(b)
			}
		}
		return string(b[:i])
	}
	return string(b)
}
