package forecast

import (
	"iter"
	"math"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Forecast estimates how many keys are left of a span that is being listed, and
// where to cut it, from the keys that were listed so far; trie.go tells how. The
// estimates are guesses: a wrong one costs time, never a key.
//
// Time and memory grow with the length of keys, which limits.Key bounds.
//
// A Forecast is for one goroutine. It copies what it keeps.
type Forecast struct {
	keys   *KeyModel
	listed int64 // keys
	since  int64 // keys listed since it was made or last cut
	born   float64
	page   []mark // samples of the last page
	noted  []mark // last keys of the pages since
	trie   trie
	mood   mood
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

// mood is how far the trie can be believed.
type mood int

const (
	trusting mood = iota
	outlived      // there is more than was expected of the digits that keys are known to use
	baffled       // and more than of all digits that they could use
)

// New returns the forecast of a listing of which nothing was seen yet.
func New(keys *KeyModel) *Forecast { return &Forecast{keys: keys} }

// samples is how many keys of a page are looked at, and mostNoted how many pages
// are noted until they are.
const (
	samples   = 16
	mostNoted = 256
)

// Note takes the next page of the listing: n keys, of which key(i) is the i-th. It costs
// little: all pages that were noted since estimates were asked for count as one, of which
// at most the last key of each is looked at.
func (o *Forecast) Note(n int, key func(int) []byte) {
	if n == 0 {
		return
	}
	if len(o.page)+len(o.noted) == 0 {
		o.noted = append(o.noted, mark{string(key(0)), o.listed})
	}
	o.skip(n)
	o.noted = append(o.noted, mark{string(key(n - 1)), o.listed - 1})
	if len(o.noted) >= mostNoted {
		o.look()
	}
}

// skip counts n keys of the listing.
func (o *Forecast) skip(n int) {
	o.listed += int64(n)
	o.since += int64(n)
}

// look looks at the pages that were noted.
func (o *Forecast) look() {
	n := len(o.noted)
	if n == 0 {
		return
	}
	marks := make([]mark, 0, samples+1)
	if len(o.page) > 0 {
		marks = append(marks, o.page[len(o.page)-1])
	}
	for i := range min(samples, n) {
		marks = append(marks, o.noted[i*(n-1)/max(1, min(samples, n)-1)])
	}
	o.noted = o.noted[:0]
	o.enter(marks)
}

// enter makes marks the last page.
func (o *Forecast) enter(marks []mark) {
	keys := make([]string, 0, len(marks)+1)
	if len(o.page) > 0 && o.trie.last < marks[0].key {
		keys = append(keys, o.trie.last)
	}
	for _, m := range marks {
		keys = append(keys, m.key)
		o.keys.script.Add(m.key)
		o.trie.enter(m)
	}
	o.page = marks
	o.keys.hull.Add(keys)
}

// Left estimates how many keys of the listing lie between the last one seen and
// upto; an upto of "" is the end of all keys, of which nothing is known: whatever
// could be is taken to be left. A listing that has outlived what
// was expected is not about to end: it is taken to be somewhere in its middle.
func (o *Forecast) Left(upto string) float64 {
	o.look()
	if len(o.page) == 0 || upto != "" && upto <= o.trie.last {
		return 0
	}
	page, half := o.pageKeys(), float64(o.since)/2
	left := o.reckon(upto, true)
	if float64(o.since) <= page {
		o.born = left
	}
	o.mood = trusting
	if left >= half || float64(o.since) <= 2*(o.born+page) {
		return left
	}
	o.mood = outlived
	left = o.reckon(upto, false)
	if left >= half {
		return min(left, 20*half)
	}
	o.mood = baffled
	return 4 * half
}

// pageKeys is how many keys the last page had.
func (o *Forecast) pageKeys() float64 { return float64(o.listed - o.page[0].rank) }

// reckon works out what is left with the alphabet that the last page shows;
// seen says to leave out of it what was never seen anywhere.
func (o *Forecast) reckon(upto string, seen bool) float64 {
	keys := make([]string, 0, samples+1)
	for _, m := range o.page {
		keys = append(keys, m.key)
	}
	if upto != "" {
		keys = append(keys, upto)
	}
	t := &o.trie
	t.look(o.page[0], o.listed, upto)
	t.alphabet.Reset(min(t.base, t.deepest), keys...)
	if seen {
		o.keys.hull.Narrow(&t.alphabet)
		o.keys.script.Narrow(&t.alphabet, t.last)
	}
	return t.reckon(o.listed, upto)
}

// Cuts returns up to n keys, in increasing order, at which to cut what is left up
// to upto so that the pieces are of about the same size, as far as can be known:
// where little was listed yet of much that is expected, or the end is open, some
// of the pieces grow geometrically instead. The keys lie between the last one seen
// and upto, are valid UTF-8, no longer than limits.Key, and need not exist.
func (o *Forecast) Cuts(upto string, n int) []string {
	left := o.Left(upto)
	if left <= 0 || n < 1 {
		return nil
	}
	var cuts []string
	for k := range o.proposals(upto, left, n) {
		if len(cuts) == n {
			break
		}
		if len(k) <= limits.Key && k > o.trie.last && (upto == "" || k < upto) {
			cuts = append(cuts, k)
		}
	}
	if len(cuts) > 0 {
		o.since = 0
	}
	slices.Sort(cuts)
	return slices.Compact(cuts)
}

// wide is how many keys an open end is taken to have at most when it is cut.
const wide = 1e11

// proposals yields about n keys, the most important ones first.
func (o *Forecast) proposals(upto string, left float64, n int) iter.Seq[string] {
	even, far := n, left // pieces of the same size; how far there may be keys
	switch {
	case o.mood == outlived:
		even, far = 0, o.trie.reach()
	case o.mood == baffled:
		even, far = n/2, o.trie.reach()
		left = far
	case upto == "":
		even, far = n/4, min(far, wide)
	case left > 8*float64(o.since) && n > 1:
		even = n / 2
	}
	return func(yield func(string) bool) {
		if o.mood == baffled || upto == "" {
			for _, k := range o.trie.beyond(upto, n) {
				if !yield(k) {
					return
				}
			}
		}
		x := 2 * o.pageKeys()
		growth := math.Pow(max(far, x)/x, 1/float64(n-even+1))
		for range n - even {
			if x *= growth; !yield(o.trie.at(x)) {
				return
			}
		}
		for i := range even {
			if !yield(o.trie.at(left * float64(i+1) / float64(even+1))) {
				return
			}
		}
	}
}
