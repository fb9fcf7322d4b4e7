// Package keyspace measures distances between keys: how far one key lies above another, and
// which key lies at a given distance above one.
//
// Keys are taken for numbers: at every offset stands a digit of the alphabet that keys
// are seen to use there. Keys of a kilobyte make numbers of thousands of bits, so distances
// are kept as logarithms; the logarithm of the unit of an offset is its weight.
package keyspace

import (
	"math"
	"slices"
	"unicode/utf8"
)

// Alphabet holds the bytes that keys are thought to use at each offset, from a base up to the
// end of the longest key that it was shown. It sees no difference between keys that differ
// only elsewhere. The zero Alphabet knows nothing. It is for one goroutine, and keeps no
// key that it was shown.
type Alphabet struct {
	base    int
	sets    []byteSet
	weights []float64 // natural logarithm of the unit of each offset
	classes []class   // at each offset, while it is made
	varied  []bool    // the keys that are shown have too many bytes at the offset for names
}

// Reset makes a the alphabet that the keys show, for offsets from base on. Each offset has all
// bytes of the classes of the words that lie over it, so that bytes that were not seen yet
// are expected, too. Of separators it has only those that were seen.
func (a *Alphabet) Reset(base int, keys ...string) {
	a.base = base
	length := 0
	for _, k := range keys {
		length = max(length, len(k))
	}
	n := max(0, length-base)
	a.sets = append(a.sets[:0], make([]byteSet, n)...)
	a.classes = append(a.classes[:0], make([]class, n)...)
	for _, k := range keys {
		for i := base; i < len(k); i++ {
			if classes[k[i]]&(lowerHex|lower|upperHex|upper) != 0 {
				a.sets[i-base].add(k[i])
			}
		}
	}
	a.varied = a.varied[:0]
	for i := range a.sets {
		a.varied = append(a.varied, a.sets[i].size() > few)
	}
	clear(a.sets)
	for _, k := range keys {
		a.show(k)
	}
	a.spread()
	for i, c := range a.classes {
		a.sets[i].union(c.bytes())
	}
	a.weigh()
}

// spread makes the signs of URL-safe base64 letters: if a word with digits and letters of both
// cases has one, all offsets of such words get it.
func (a *Alphabet) spread() {
	var signs byteSet
	for i, c := range a.classes {
		if c&mixed == mixed {
			signs.union(a.sets[i])
		}
	}
	signs.intersect(&base64Signs)
	for i, c := range a.classes {
		if c&mixed == mixed {
			a.sets[i].union(signs)
		}
	}
}

const mixed = digits | lower | upper

var base64Signs = byteSet{1 << '-', 1 << ('_' - 64)}

// show adds what one key shows.
func (a *Alphabet) show(k string) {
	i := min(a.base, len(k))
	for i > 0 && classes[k[i-1]] != 0 { // go back to the start of the word that the base is in
		i--
	}
	for i < len(k) {
		end, all := i, class(0)
		for end < len(k) && classes[k[end]] != 0 {
			all |= classes[k[end]]
			end++
		}
		a.showWord(k, i, end, all)
		if i = end; i < len(k) {
			if i >= a.base {
				a.sets[i-a.base].add(k[i])
			}
			i++
		}
	}
}

// showWord adds the word k[start:end], whose bytes are of the classes all. Of a name only the
// first letter may be another one, and none before a = or in an extension.
func (a *Alphabet) showWord(k string, start, end int, all class) {
	name := a.isName(start, end, all)
	fixed := end < len(k) && k[end] == '=' || end == len(k) && start > 0 && k[start-1] == '.'
	for i := max(start, a.base); i < end; i++ {
		if name && (i > start || fixed) {
			a.sets[i-a.base].add(k[i])
			continue
		}
		a.classes[i-a.base] |= all
		a.addHigh(k, i)
	}
}

// isName reports whether a word with bytes of the classes all is taken for a name: it has
// letters of one case only, and keys do not vary at its offsets.
func (a *Alphabet) isName(start, end int, all class) bool {
	if all&(digits|high) != 0 || all&(lower|lowerHex) != 0 && all&(upper|upperHex) != 0 {
		return false
	}
	n := len(a.varied)
	return !slices.Contains(a.varied[min(max(0, start-a.base), n):min(max(0, end-a.base), n)], true)
}

// addHigh adds a byte beyond ASCII and its neighbours. For a leading byte, and for the byte
// behind that of a four-byte character, these are the next few in both directions; for
// any other continuation byte, all of them.
func (a *Alphabet) addHigh(k string, i int) {
	switch c := k[i]; {
	case c < utf8.RuneSelf:
	case c >= 0xF0:
		a.sets[i-a.base].add(c)
	case utf8.RuneStart(c):
		a.sets[i-a.base].union(span(max(0xC2, c-3), min(0xEF, c+3)))
	case i > 0 && k[i-1] >= 0xF0:
		a.sets[i-a.base].union(span(max(0x80, c-3), min(0xBF, c+3)))
	default:
		a.sets[i-a.base].union(span(0x80, 0xBF))
	}
}

func (a *Alphabet) weigh() {
	a.weights = a.weights[:0]
	w := 0.0
	for i := range a.sets {
		w -= math.Log(float64(max(1, a.sets[i].size())))
		a.weights = append(a.weights, w)
	}
}

// Distance returns the natural logarithm of the distance from lo up to hi, as a fraction of
// all keys that the alphabet can write; a hi of "" is the end of all keys. It is -Inf if hi
// does not lie above lo as far as the alphabet knows.
func (a *Alphabet) Distance(lo, hi string) float64 {
	sum, unit, started := 0.0, 0.0, false
	for i := range a.sets {
		at := a.base + i
		d := -a.digit(lo, at)
		switch {
		case hi != "":
			d += a.digit(hi, at)
		case i == 0:
			d += a.sets[i].size()
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

func (a *Alphabet) digit(k string, at int) int {
	if at >= len(k) {
		return 0
	}
	return a.sets[at-a.base].rank(k[at])
}
