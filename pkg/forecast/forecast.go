// Package forecast estimates how much of a listing is still to come, and at which keys to
// cut what is left, from the keys that were listed so far. The estimates are guesses: a
// wrong one costs a LIST or some time, never a key.
//
// There are two models, because two callers ask different questions. A worker asks twice a
// second what follows one key, so Forecast can remember the whole listing: a density for
// each depth of the trie of keys. A listing that reads ahead asks with every page, about
// hundreds of segments, most of which begin at a key that was made up. So Pages knows one
// density for each segment, that of its last pages, and learns how far to doubt it.
//
// Both take keys for numbers in the alphabets of pkg/keyspace.
package forecast

import (
	"math"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Forecast estimates how many keys are left of a span that is being listed, and where to
// cut it, from the keys that were listed so far.
//
// Time and memory grow with the length of keys, which limits.Key bounds.
//
// A Forecast is for one goroutine. It copies what it keeps.
type Forecast struct {
	keys       *KeyModel
	listed     int64   // keys
	since      int64   // keys listed since it was made or last cut
	born       float64 // keys left at first, or after the last cut
	page       []mark  // samples of the last page, or of the pages that count as one
	noted      []mark  // last keys of the pages since
	trie       trie
	confidence confidence
}

// KeyModel is what the listings of one import have learned of its keys together.
// The zero KeyModel knows nothing. It is for one goroutine.
type KeyModel struct {
	hull   keyspace.Hull
	script keyspace.Script
}

// mark is a key of the listing and how many keys were listed before it.
type mark struct {
	key  string
	rank int64
}

// Constants of Guess, which TestEstimates of internal/fleetsim shows.
const (
	probable = 2  // by what factor a forecast that is trusted may be wrong
	proven   = 11 // times as many keys as were listed may be left; more than that count less
)

// confidence is how far the trie can be believed.
type confidence int

const (
	trusted  confidence = iota
	outlived            // there is more than was expected of the digits that keys are known to use
	baffled             // and more than of all digits that they could use
)

// New returns the forecast of a listing that has not begun.
func New(keys *KeyModel) *Forecast { return &Forecast{keys: keys} }

// Note takes the next page of the listing: n keys, where key(i) is the i-th. It costs little:
// all pages that were noted between two estimates count as one, whose samples are last keys of
// these pages.
func (f *Forecast) Note(n int, key func(int) []byte) {
	if n == 0 {
		return
	}
	if len(f.page)+len(f.noted) == 0 {
		f.noted = append(f.noted, mark{string(key(0)), f.listed})
	}
	f.skip(n)
	f.noted = append(f.noted, mark{string(key(n - 1)), f.listed - 1})
	if len(f.noted) >= mostNoted {
		f.digest()
	}
}

// skip counts n keys of the listing.
func (f *Forecast) skip(n int) {
	f.listed += int64(n)
	f.since += int64(n)
}

// digest learns from the pages that were noted.
func (f *Forecast) digest() {
	n := len(f.noted)
	if n == 0 {
		return
	}
	marks := make([]mark, 0, Samples+1)
	if len(f.page) > 0 {
		marks = append(marks, f.page[len(f.page)-1])
	}
	for i := range min(Samples, n) {
		marks = append(marks, f.noted[i*(n-1)/max(1, min(Samples, n)-1)])
	}
	f.noted = f.noted[:0]
	f.learn(marks)
}

// learn makes marks the last page.
func (f *Forecast) learn(marks []mark) {
	keys := make([]string, 0, len(marks)+1)
	if len(f.page) > 0 && f.trie.last < marks[0].key {
		keys = append(keys, f.trie.last)
	}
	for _, m := range marks {
		keys = append(keys, m.key)
		f.keys.script.Add(m.key)
		f.trie.advance(m)
	}
	f.page = marks
	f.keys.hull.Add(keys)
}

// Left estimates how many keys of the listing lie between the last one seen and upto. An
// upto of "" is the unknown end of all keys: all keys that there could be are taken to be
// left. A listing that has gone on for longer than was expected is not about to end: it is
// taken to be somewhere in its middle.
func (f *Forecast) Left(upto string) float64 {
	f.digest()
	if len(f.page) == 0 || upto != "" && upto <= f.trie.last {
		return 0
	}
	page, half := f.pageKeys(), float64(f.since)/2
	left := f.reckon(upto, true)
	if float64(f.since) <= page {
		f.born = left
	}
	f.confidence = trusted
	if left >= half || float64(f.since) <= overdue*(f.born+page) {
		return left
	}
	f.confidence = outlived
	left = f.reckon(upto, false)
	if left >= half {
		return min(left, mostOutlived*half)
	}
	f.confidence = baffled
	return baffledLeft * half
}

// Guess returns how many keys are left as far as one would bet on it, and the numbers between
// which that probably lies. It is less than Left where Left asks what is worth being cut: if much
// more is expected than was listed, and if a listing has outlived its forecast.
func (f *Forecast) Guess(upto string) (low, keys, high float64) {
	left := f.Left(upto)
	if f.confidence != trusted {
		return 0, min(left, float64(f.since)), left * probable
	}
	seen := proven * float64(f.listed)
	if left > seen {
		return seen / probable, seen * (1 + math.Log(left/seen)), left * probable
	}
	return left / probable, left, left * probable
}

// pageKeys is how many keys the last page had.
func (f *Forecast) pageKeys() float64 { return float64(f.listed - f.page[0].rank) }

// reckon works out what is left with the alphabet that the last page shows;
// seen says to leave out of it what was never seen anywhere.
func (f *Forecast) reckon(upto string, seen bool) float64 {
	keys := make([]string, 0, Samples+1)
	for _, m := range f.page {
		keys = append(keys, m.key)
	}
	if upto != "" {
		keys = append(keys, upto)
	}
	t := &f.trie
	t.aim(f.page[0], f.listed, upto)
	t.alphabet.Reset(min(t.base, t.deepest), keys...)
	if seen {
		f.keys.hull.Narrow(&t.alphabet)
		f.keys.script.Narrow(&t.alphabet, t.last)
	}
	return t.reckon(f.listed, upto)
}

// Cuts returns up to n keys, in increasing order, at which to cut what is left up
// to upto so that the pieces are of about the same size, as far as can be known:
// where little was listed yet of much that is expected, or the end is open, some
// of the pieces grow geometrically instead. The keys lie between the last one seen
// and upto, are valid UTF-8, no longer than limits.Key, and need not exist.
func (f *Forecast) Cuts(upto string, n int) []string {
	left := f.Left(upto)
	if left <= 0 || n < 1 {
		return nil
	}
	var cuts []string
	for _, k := range f.proposals(upto, left, n) {
		if len(cuts) == n {
			break
		}
		if len(k) <= limits.Key && k > f.trie.last && (upto == "" || k < upto) {
			cuts = append(cuts, k)
		}
	}
	if len(cuts) > 0 {
		f.since = 0
	}
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

// proposals returns about n keys, the most important ones first.
func (f *Forecast) proposals(upto string, left float64, n int) (keys []string) {
	even, far := n, left // pieces of the same size; how far there may be keys
	switch {
	case f.confidence == outlived:
		even, far = 0, f.trie.reach()
	case f.confidence == baffled:
		even, far = n/2, f.trie.reach()
		left = far
	case upto == "":
		even, far = n/4, min(far, mostOpen)
	case left > unseen*float64(f.since) && n > 1:
		even = n / 2
	}
	if f.confidence == baffled || upto == "" {
		keys = f.trie.guesses(upto, n)
	}
	x := 2 * f.pageKeys()
	growth := math.Pow(max(far, x)/x, 1/float64(n-even+1))
	for range n - even {
		x *= growth
		keys = append(keys, f.trie.at(x))
	}
	for i := range even {
		keys = append(keys, f.trie.at(left*float64(i+1)/float64(even+1)))
	}
	return keys
}
