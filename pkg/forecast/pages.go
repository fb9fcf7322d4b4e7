package forecast

import (
	"math"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// The constants of Pages. They were measured by the simulation of
// pkg/objectstore/readahead, with a million keys of each shape of internal/keyset unless
// 10M are named: round trips, and LISTs over the minimum. Several constants were often
// chosen together; the figures are then those of all of them.
const (
	// mostPages bounds estimates. Chosen to be out of the way: 10^12 keys.
	mostPages = 1e9
	// beyond is how many pages are expected at most after the end of a directory, whose
	// keys say nothing about its neighbours. Chosen: enough to be worth a cut there.
	beyond = 8
	// leastDirectory is how many pages a directory has at least for which a cut at its end
	// is worth a LIST. Chosen together with beyond.
	leastDirectory = 6
	// contradicted: if fewer pages than this were expected and one more came, the
	// alphabet was wrong, not just the density. With 0.8 a listing forgot what it knew of
	// hours and days; 0.3, tight cuts near the consumer and siblings: hive 42.5 and 1.161
	// -> 37.5 and 1.155, 10M 334 -> 321.
	contradicted = 0.3
	// mostShift is by how much, as a logarithm, keys may have been closer or farther apart before
	// the last page; a larger difference mostly came of an empty space between them. 10M of ulid 310 and 1.054
	// -> 259 and 1.050, cjk 1999 -> 321, the patience of readahead included.
	mostShift = 2
	// firstDoubt is the doubt before anything is known: more than that of hashes, below 0.1, and
	// less than that of logs by the hour, above 0.3.
	firstDoubt = 0.3
	// blind is the least doubt of a run: nothing shows how much follows the next longer
	// one. zruns took 1160 LISTs at 50 ms and takes 1137, by longer pieces in runs.
	blind = 0.6
	// recent is over how many pages doubt is averaged. Chosen.
	recent = 32
	// bears is how many cuts may be based on one density. Chosen: a page that is not like
	// others must not decide about all that lies ahead.
	bears = 16
	// shortest is how many pages there are after the end of a directory if it is worth a cut, and
	// siblings at how many directories after it, at growing distances, cuts are made if
	// the end of keys is not known. zipf 41 and 1.101 -> 38 and 1.090, firstlies 46 -> 43.
	shortest, siblings = 0.5, 8
	// margin is by how many pages a piece is shorter than a whole number of them: its last page
	// should be nearly full, but not followed by another. Chosen: estimates of hashes
	// are off by a few hundredths of a page.
	margin = 0.1
)

// Pages estimates, in pages, what is left of the segments of one listing, and where to
// cut them. It has learned from the pages of all of them. It is for one goroutine.
type Pages struct {
	// Doubt is by what part of themselves estimates were moved by the next page, a
	// moving average: near 0 if keys are spread evenly.
	Doubt float64

	prefix   string // of all keys
	climb    climb
	hull     keyspace.Hull
	pairs    keyspace.Pairs
	code     keyspace.Code
	alphabet keyspace.Alphabet // of the segment that was looked at last
	sample   []string          // scratch
}

// NewPages returns the estimates of a listing that has not begun, of keys with the prefix.
func NewPages(prefix string) *Pages { return &Pages{prefix: prefix, Doubt: firstDoubt} }

// Rest is the keys (Pos, Hi] that are left of a segment, and what is expected of them. The
// first one of a listing is given Pos, Hi and Pages; all others are made by Cut.
type Rest struct {
	Pos, Hi string  // Hi "" is the end of all keys
	Pages   float64 // expected

	density  *density // nil before the first page; until it has a page of its own, a piece shares that of what it was cut off
	begun    bool     // Pos is a key that was listed
	listed   int      // pages since it was made or cut
	end      string   // of the directory that the density is that of, or Hi
	inside   float64  // pages expected in (Pos, end]
	news     bool     // the last page had a byte that was thought not to occur
	surprise bool     // the last page was not expected: what was learned is not all there is
	run      bool     // Hi is a run of one character, and as much may follow each longer start of it
}

// density is how close the keys of a page lie, and of the chain of pages in its directory
// that leads to it.
type density struct {
	start       string   // first key of the chain
	pages       float64  // from start to last
	first, last string   // of the page
	sample      []string // keys of the page, both included
	full        float64  // its entries over those of a full page
	uses        int      // cuts that it is the reason of
}

// Known reports whether anything is known of how close the keys of r lie.
func (r *Rest) Known() bool { return r.density != nil && r.density.first < r.density.last }

// See learns from a page of r, and from how it follows the one before. keys is a sample of the
// page with its first and last key.
func (m *Pages) See(r *Rest, keys []string) {
	m.sample = m.sample[:0]
	if r.begun {
		m.sample = append(m.sample, m.code.Encode(r.Pos))
	}
	for _, key := range keys {
		m.code.Add(key)
		m.sample = append(m.sample, m.code.Encode(key))
	}
	m.pairs.Add(m.sample)
	r.news = m.hull.Add(m.sample)
	r.listed++
}

// Advance moves r behind the part of its page that lies in it. keys is a sample of that part
// and full its entries over those of a full page; done says that r ends there.
func (m *Pages) Advance(r *Rest, keys []string, full float64, done bool) {
	first, last := keys[0], keys[len(keys)-1]
	d := &density{start: first, pages: full, first: first, last: last, sample: keys, full: full}
	if r.begun && r.Known() && strings.HasPrefix(r.density.start, directory(first, last)) {
		d.start, d.pages = r.density.start, r.density.pages+full
	}
	r.density = d
	m.climb.add(r, done)
	r.Pos, r.begun = last, true
}

// directory returns the deepest one that two keys lie in, with its last /.
func directory(a, b string) string {
	return a[:strings.LastIndexByte(a[:keyspace.Common(a, b)], '/')+1]
}

// Reckon estimates r anew after one of its pages, behind which something may be left.
func (m *Pages) Reckon(r *Rest) {
	if !r.Known() {
		r.Pages = max(r.Pages-1, 1)
		return
	}
	r.surprise = r.news || r.listed > 1 && r.Pages < contradicted
	r.run = isRun(r.Hi, keyspace.Common(r.Pos, r.Hi))
	m.model(r)
	if r.surprise {
		r.Pages = max(r.Pages, float64(r.listed)/2) // it is not about to end
	}
	if r.Hi == "" {
		r.Pages = max(r.Pages, beyond)
	}
	r.inside = min(max(r.inside, float64(r.listed)/2), r.Pages)
}

// Revise learns how wrong estimates are, from how many pages were expected before one
// was listed and with it.
func (m *Pages) Revise(before, after float64) {
	m.Doubt += (min(1, math.Abs(after-before)/max(1, before)) - m.Doubt) / recent
}

// DoubtOf returns how doubtful the estimate of r is.
func (m *Pages) DoubtOf(r *Rest) float64 {
	if r.run {
		return max(m.Doubt, blind)
	}
	return m.Doubt
}

// model estimates r by the density and the alphabet that its last page shows, and leaves
// that alphabet in m. The directory that it looks ahead to is the deepest one that is
// worth a cut.
func (m *Pages) model(r *Rest) {
	m.spell(r)
	width := m.width(r)
	pages := func(to string) float64 {
		return math.Exp(min(m.distance(r.Pos, to)-width, math.Log(mostPages)))
	}
	r.Pages = pages(r.Hi)
	r.end, r.inside = r.Hi, r.Pages
	if r.run {
		m.ascend(r)
		return
	}
	d, trusted := r.density, 2 // the directory and its parent
	for i := keyspace.Common(d.first, d.last); i > len(m.prefix) && trusted > 0; i-- {
		if d.last[i-1] != '/' {
			continue
		}
		trusted--
		end := d.last[:i-1] + string('/'+1)
		switch {
		case r.Hi != "" && end >= r.Hi:
			return
		case end <= r.Pos:
			continue
		}
		if inside := pages(end); inside >= leastDirectory || trusted == 0 {
			r.end, r.inside = end, inside
			r.Pages = min(r.Pages, inside+beyond)
			return
		}
	}
}

// spell sets m.alphabet to what the last page of r shows, at the offsets where its keys
// can still differ, less what was never seen anywhere.
func (m *Pages) spell(r *Rest) {
	start, hi := m.code.Encode(r.density.start), m.code.Encode(r.Hi)
	m.sample = append(m.sample[:0], start)
	for _, key := range r.density.sample {
		m.sample = append(m.sample, m.code.Encode(key))
	}
	base := 0
	if hi != "" {
		base = keyspace.Common(start, hi)
		m.sample = append(m.sample, hi[:min(base+1, len(hi))]) // the rest of it was made up
	}
	if strings.HasPrefix(r.Pos, m.prefix) {
		base = max(base, len(m.code.Encode(m.prefix)))
	}
	m.alphabet.Reset(base, m.sample...)
	m.code.Widen(&m.alphabet)
	if !r.surprise {
		m.hull.Narrow(&m.alphabet)
	}
}

// distance is that of keys of the store in the alphabet.
func (m *Pages) distance(lo, hi string) float64 {
	return m.alphabet.Distance(m.code.Encode(lo), m.code.Encode(hi))
}

// width returns the logarithm of the distance that a full page spans.
func (m *Pages) width(r *Rest) float64 {
	d := r.density
	near := m.distance(d.first, d.last) - math.Log(d.full)
	far := m.distance(d.start, d.last) - math.Log(d.pages)
	if math.IsInf(far, 0) || math.IsInf(near, 0) {
		return near
	}
	return near + max(-mostShift, min(mostShift, far-near))/2
}
