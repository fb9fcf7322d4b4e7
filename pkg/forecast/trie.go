package forecast

import (
	"math"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// The constants of Forecast. They were measured by internal/fleetsim (seconds
// over those of a fleet that is busy all the time, and LISTs over the minimum) and
// TestShapesAreSharedEvenly of this package. A constant that is called chosen was not
// measured alone; these tests cover all constants together.
const (
	// Samples is how many keys of a page are looked at, its first and last among them.
	// Chosen: enough to show the digits of two offsets, and little beside reading the page.
	Samples = 16
	// mostNoted is how many pages are noted before they are looked at. For 10^9 keys of hive
	// 64 workers took 2.3 times the ideal time and 1.10 of the LISTs when only each eighth
	// page was looked at, and 1.26 and 1.02 with the last keys of up to 256 pages.
	mostNoted = 256
	// overdue is how many times as many keys as were expected are listed before a
	// forecast is doubted. Chosen: digits of equal weight seldom differ by more.
	overdue = 2
	// A listing that outlived its forecast is taken to be in its middle. What is left, in
	// halves of what was listed: at most mostOutlived, or baffledLeft if no known digits
	// explain it. Chosen.
	mostOutlived, baffledLeft = 20, 4
	// unseen: if more than this many times what was listed is left, pieces are not all of
	// one size. Chosen: too little was seen.
	unseen = 8
	// mostOpen is the most keys that an open end is assumed to hold when it is cut: as
	// many as the largest buckets. Without it, half of the pieces were spread over keys
	// that mostly do not exist; see mostNoted for the gain of both.
	mostOpen = 1e11
	// mostKeys bounds estimates. Chosen to be out of the way.
	mostKeys = 1e15
	// fine is the part of a digit below which it counts as zero; see keyspace.Alphabet.Place.
	fine = 1e-4
)

// trie expects how the keys go on after the last one that was listed. Keys are
// taken for the leaves of a trie, and the last key for the path down to it:
//
//	logs/ ─┬─ 2024 ─┬─ 01   ╮ passed: so many keys in so many digits
//	       │        ├─ 02   ╯
//	       │        ├─ 03 ── the last key
//	       │        ├─ 04   ╮ left: as many keys a digit
//	       │        ┆       ╯
//	       └─ 2025 ┄ as many as in the whole of 2024
//
// At each depth the keys listed below it lie in a number of digits, and what is
// left there is expected to hold as many a digit. So each depth has a density of
// its own, and how much a day holds tells what the rest of the month does,
// whatever one page of one hour looks like. The digits that are left are those of
// the alphabet at that offset.
type trie struct {
	last string
	path []mark // by depth: the first listed key that has this many first bytes in common with last

	alphabet keyspace.Alphabet
	base     int     // depth up to which last and the end of the span agree
	deepest  int     // depth below which no density is known
	depths   []depth // from the deepest one to base, or only that
	near     bool    // the end of the span lies below the deepest depth
	width    float64 // if near, the logarithm of the distance that a key takes there
}

// depth is what is expected of the keys that have their first at bytes in common with last.
type depth struct {
	at      int
	density float64 // keys a digit
	place   float64 // of last
	left    float64 // keys
}

// advance moves on to a key.
func (t *trie) advance(m mark) {
	if len(t.path) > 0 {
		t.path = t.path[:keyspace.Common(t.last, m.key)+1]
	}
	for len(t.path) <= len(m.key) {
		t.path = append(t.path, m)
	}
	t.last = m.key
}

// aim sets the depths that matter for a span that ends at upto: the deepest one
// is that below which a good part of the last page lies, which began at first.
func (t *trie) aim(first mark, listed int64, upto string) {
	t.base = keyspace.Common(t.last, upto)
	t.deepest = keyspace.Common(first.key, t.last)
	half := (listed - first.rank) / 2
	for t.deepest+1 < len(t.path) && listed-t.path[t.deepest+1].rank >= half {
		t.deepest++
	}
	t.deepest = min(t.deepest, len(t.last)-1)
	t.near = t.base > t.deepest
}

// reckon returns how many keys are left up to upto, working up from the deepest
// depth. The alphabet reaches from base on.
func (t *trie) reckon(listed int64, upto string) float64 {
	t.depths = t.depths[:0]
	d := t.bottom(listed, upto)
	t.depths = append(t.depths, d)
	whole := t.whole(d, listed)
	for at := t.deepest - 1; at >= t.base; at-- {
		d = t.above(d, whole, at, upto)
		t.depths = append(t.depths, d)
		whole = t.whole(d, listed)
	}
	return t.reach()
}

// reach returns how many keys are left as far as the depths know.
func (t *trie) reach() float64 { return min(mostKeys, t.depths[len(t.depths)-1].left) }

// bottom reckons the deepest depth, by the density of the last page or more.
func (t *trie) bottom(listed int64, upto string) depth {
	from := t.path[t.deepest]
	n := float64(max(1, listed-from.rank-1)) // keys after from's
	d := depth{at: t.deepest, place: t.alphabet.Place(t.last, t.deepest)}
	d.density = n / max(d.place-t.alphabet.Place(from.key, d.at), fine)
	d.left = max(0, d.density*(t.end(d.at, upto)-d.place)-1) // less the last one itself
	if t.near {
		t.width = t.alphabet.Distance(from.key, t.last) - math.Log(n)
		d.left = math.Exp(t.alphabet.Distance(t.last, upto) - t.width)
	}
	return d
}

// above reckons the depth above d, at which whole keys are expected in all.
func (t *trie) above(d depth, whole float64, at int, upto string) depth {
	from := t.path[at]
	up := depth{at: at, place: t.alphabet.Place(t.last, at)}
	digit := math.Floor(up.place)
	passed := digit - t.alphabet.Place(from.key, at)
	up.density = perDigit(float64(t.path[at+1].rank-from.rank), passed, whole)
	up.left = d.left + up.density*max(0, t.end(at, upto)-digit-1)
	return up
}

// perDigit returns how many keys a digit holds if those that were passed held n in all, and
// the current one is expected to hold whole.
func perDigit(n, passed, whole float64) float64 {
	whole = max(whole, 1)
	if passed < fine {
		return whole
	}
	return math.Exp((passed*math.Log(max(n, 1)/passed) + math.Log(whole)) / (passed + 1))
}

// end returns the place at which the span ends at a depth.
func (t *trie) end(at int, upto string) float64 {
	size := float64(t.alphabet.Size(at))
	if at > t.base || upto == "" {
		return size
	}
	return min(size, t.alphabet.Place(upto, at))
}

// whole returns how many keys are expected at d in all: listed, left, and lying
// before the listing if that began below it.
func (t *trie) whole(d depth, listed int64) float64 {
	from := t.path[d.at]
	whole := d.left + float64(listed-from.rank)
	if from.rank == 0 {
		whole += d.density * t.alphabet.Place(from.key, d.at)
	}
	return whole
}

// at returns the key before which a number of keys is left, or "" if there is none.
func (t *trie) at(keys float64) (k string) {
	before := 0.0
	for i, d := range t.depths {
		if d.left < keys {
			before = d.left
			continue
		}
		switch {
		case i > 0:
			k, _ = t.alphabet.Key(t.last, d.at, math.Floor(d.place)+1+(keys-before)/d.density)
		case t.near:
			k, _ = t.alphabet.Add(t.last, t.width+math.Log(keys))
		default:
			k, _ = t.alphabet.Key(t.last, d.at, d.place+keys/d.density)
		}
		return k
	}
	return ""
}

// guesses returns up to n keys at which keys may lie that the depths know nothing of: in
// longer runs of the greatest character, if the last key has a run of it, where keys end
// that begin as it does, and just before upto. Guesses at where all keys end are a quarter of
// the cuts at most: they were five of seven, and cut off nothing.
func (t *trie) guesses(upto string, n int) (keys []string) {
	common := keyspace.Common(t.last, upto)
	start, end := longestRun(t.last)
	start = max(start, common)
	if run := end - start; run >= leastRun && t.topped(start) {
		for i := 1; len(keys) < n && i <= 2*run; i *= 2 {
			keys = append(keys, keyspace.Valid([]byte(t.last[:end]+strings.Repeat(t.last[end-1:end], i))))
		}
	} else if upto == "" {
		tops := t.alphabet.Tops(t.last)
		return tops[:min(max(1, n/4), len(tops))] // what lies before the first is more
	}
	if rest := len(upto) - common - 1; rest > 0 {
		n = min(n-len(keys), rest)
		for i := range n {
			keys = append(keys, keyspace.Valid([]byte(upto[:common+1+rest*i/n])))
		}
	}
	return keys
}

// topped reports whether no digit follows that of the last key at an offset, so that
// whatever follows is longer. The zeros of a padded number are none of these.
func (t *trie) topped(at int) bool {
	size := t.alphabet.Size(at)
	return size > 1 && int(t.alphabet.Place(t.last, at)) == size-1
}
