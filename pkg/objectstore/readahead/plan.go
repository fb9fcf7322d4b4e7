package readahead

import (
	"math"
	"slices"
	"sort"
)

// Page is one page of a listing: entries in strictly increasing order of keys.
type Page[P any] interface {
	Len() int
	Key(i int) string // of entry i
	Bytes() int       // of memory that the page holds
	Head(n int) P     // the first n entries; the page itself is given up
}

// segment is the keys (lo, hi] of a listing, of which those up to pos are
// listed. At most one LIST is in flight for it.
type segment[P Page[P]] struct {
	pos, hi  string // hi "" is the end of all keys
	open     bool   // hi was a guess at where keys end
	done     bool   // pos has reached hi
	inFlight bool

	pages    []P     // listed, not yet taken
	held     int     // their bytes
	listed   int     // pages since it was made or cut
	first    string  // first key of the last page; pos is its last
	full     float64 // entries of the last page over those of a full one
	end      string  // of the directory that the last page lies in, or hi
	inside   float64 // estimated pages in (pos, end]
	born     float64 // rest after its first page
	outlived bool    // it holds more than was estimated
	rest     float64 // estimated pages in (pos, hi]
}

// plan tiles what is ahead of a consumer with segments, and decides which to
// list next and where to cut them.
//
// Segments tile (what was taken, upto]: each starts where the one before ends.
// So a bad cut costs a LIST, never a key.
type plan[P Page[P]] struct {
	budget   int // bytes that pages may hold
	segments []*segment[P]
	inFlight int
	held     int // bytes of pages not yet taken

	pageLen  int     // entries of the longest page
	pageSize float64 // bytes of a page, a moving average
	calls    int     // pages that arrived
	useful   float64 // pages' worth of entries that arrived
	hull     hull

	alphabet alphabet
	classes  []class
	sample   []string
}

// call is one LIST to be made: the page after a key.
type call[P Page[P]] struct {
	segment *segment[P]
	after   string
}

func newPlan[P Page[P]](after string, budget int) *plan[P] {
	return &plan[P]{budget: budget, segments: []*segment[P]{{pos: after, open: true, rest: 1}}}
}

// next returns the next LIST to make, of at most limit in flight, or false if
// there is none until a page arrives or is taken.
func (p *plan[P]) next(limit int) (call[P], bool) {
	if p.inFlight >= limit {
		return call[P]{}, false
	}
	s := p.idle(limit)
	if p.cut(s, limit) {
		s = p.idle(limit)
	}
	if s == nil {
		return call[P]{}, false
	}
	s.inFlight = true
	p.inFlight++
	return call[P]{s, s.pos}, true
}

// idle returns the nearest segment that may be listed on.
func (p *plan[P]) idle(limit int) *segment[P] {
	ahead, window := 0.0, p.window()
	for i, s := range p.segments {
		if !s.done && !s.inFlight && p.admits(i, ahead, window, limit) {
			return s
		}
		ahead += float64(len(s.pages)) + s.rest
	}
	return nil
}

// window returns how many pages the budget holds.
func (p *plan[P]) window() float64 {
	if p.pageSize == 0 {
		return 1
	}
	return float64(p.budget) / p.pageSize
}

// admits reports whether segment i may be listed on, with so many pages lying
// before it. The first always may, or nothing would ever be taken. The budget
// goes to the nearest.
func (p *plan[P]) admits(i int, ahead, window float64, limit int) bool {
	if i == 0 {
		return true
	}
	s := p.segments[i]
	free := window - float64(p.held)/p.pageSize - float64(p.inFlight)
	if free < 1 {
		return false
	}
	if s.listed == 0 {
		return free > window/4 || i < limit
	}
	return ahead+float64(len(s.pages)) < window && (free > window/5 || i < limit)
}

// arrived takes the page that a call returned, and whether the store has more
// after it. It clips the page at the segment's end, which may have moved.
func (p *plan[P]) arrived(c call[P], page P, more bool) {
	s := c.segment
	s.inFlight = false
	p.inFlight--
	p.calls++
	n := page.Len()
	p.pageLen = max(p.pageLen, n)
	if n > 0 {
		p.observe(page)
		s.first, s.full = page.Key(0), float64(n)/float64(p.pageLen)
	}
	last := s.pos
	if n > 0 {
		last = page.Key(n - 1)
	}
	p.absorb(s, last, more)
	kept := n
	if s.hi != "" && n > 0 && last > s.hi {
		kept = sort.Search(n, func(i int) bool { return page.Key(i) > s.hi })
	}
	switch {
	case kept < n:
		s.done = true
	case !more, s.hi != "" && last >= s.hi:
		s.done = true
	}
	p.useful += float64(kept) / float64(p.pageLen)
	if kept > 0 {
		s.pos = page.Key(kept - 1)
		if kept < n {
			page = page.Head(kept)
		}
		s.pages = append(s.pages, page)
		s.held += page.Bytes()
		p.held += page.Bytes()
	}
	s.listed++
	if !more {
		p.end(s)
	}
	p.estimate(s)
}

// absorb gives the segments that follow s to it as far as they were not begun
// and the page reaches into them: what it lists beyond s need not be listed
// again.
func (p *plan[P]) absorb(s *segment[P], last string, more bool) {
	for i := slices.Index(p.segments, s) + 1; i < len(p.segments); {
		next := p.segments[i]
		if s.hi == "" || last <= s.hi && more || next.inFlight || next.listed > 0 {
			return
		}
		s.hi, s.open, s.rest = next.hi, next.open, s.rest+next.rest
		p.segments = slices.Delete(p.segments, i, i+1)
	}
}

// end notes that the store has no keys after s: whatever follows is empty.
func (p *plan[P]) end(s *segment[P]) {
	i := slices.Index(p.segments, s)
	for _, o := range p.segments[i+1:] {
		if !o.inFlight && len(o.pages) == 0 {
			o.done, o.rest = true, 0
		}
	}
}

// observe keeps a few of the page's keys for estimates, and the smoothed size of
// pages.
func (p *plan[P]) observe(page P) {
	if p.pageSize == 0 {
		p.pageSize = float64(max(1, page.Bytes()))
	}
	full := float64(page.Bytes()) / float64(page.Len()) * float64(p.pageLen)
	p.pageSize += (full - p.pageSize) / 16
	p.sample = sampleOf(p.sample[:0], page)
	p.hull.add(p.sample)
}

const samples = 16

func sampleOf[P Page[P]](dst []string, page P) []string {
	n := page.Len()
	for i := range min(samples, n) {
		dst = append(dst, page.Key(i*(n-1)/max(1, min(samples, n)-1)))
	}
	return dst
}

// estimate says how many pages are left in s, by the density of its last page,
// and never less than half of what was listed: a segment that outlived its
// estimate is not about to end.
func (p *plan[P]) estimate(s *segment[P]) {
	if s.done {
		s.rest = 0
		return
	}
	if s.first == "" || s.first >= s.pos {
		s.rest = max(s.rest-1, 1)
		return
	}
	lindy := float64(s.listed) / 2
	p.model(s, true)
	if s.listed == 1 {
		s.born = s.rest
	}
	if s.outlived = s.rest < lindy && float64(s.listed) > 2+2*s.born; s.outlived {
		lindy *= 2
		p.model(s, false)
		s.rest = min(s.rest, 20*lindy)
		s.inside = min(s.inside, s.rest)
	}
	s.rest = max(s.rest, lindy)
	if s.open {
		s.rest = max(s.rest, beyond)
	}
	s.inside = max(s.inside, min(lindy, s.rest))
}

const most = 1e9

// beyond bounds what is expected after the end of a directory: its keys tell
// nothing of its neighbours.
const beyond = 8

// model sets the alphabet for s and estimates its rest by it.
func (p *plan[P]) model(s *segment[P], learned bool) {
	p.spell(s, learned)
	width := p.alphabet.distance(s.first, s.pos) - math.Log(s.full)
	pages := func(to string) float64 {
		return math.Exp(min(p.alphabet.distance(s.pos, to)-width, math.Log(most)))
	}
	s.rest = pages(s.hi)
	s.end, s.inside = s.hi, s.rest
	for i := common(s.first, s.pos); i > 0; i-- {
		if s.pos[i-1] != '/' {
			continue
		}
		end := s.pos[:i-1] + "0" // the byte after '/'
		if s.hi != "" && end >= s.hi {
			break
		}
		if inside := pages(end); inside >= p.least() {
			s.end, s.inside = end, inside
			s.rest = min(s.rest, inside+beyond)
			break
		}
	}
}

// spell sets the alphabet for s.
func (p *plan[P]) spell(s *segment[P], learned bool) {
	p.sample = p.sample[:0]
	if n := len(s.pages); n > 0 {
		p.sample = sampleOf(p.sample, s.pages[n-1])
	}
	p.sample = append(p.sample, s.first, s.pos)
	if s.hi != "" {
		p.sample = append(p.sample, s.hi)
	}
	base := 0
	if s.hi != "" {
		base = common(s.pos, s.hi)
	}
	p.alphabet.reset(base, p.sample, &p.classes)
	if learned {
		p.hull.narrow(&p.alphabet)
	}
}

// take returns the next page in key order; ok is false if it has not arrived,
// done if there is none.
func (p *plan[P]) take() (page P, ok, done bool) {
	for len(p.segments) > 0 {
		s := p.segments[0]
		if len(s.pages) > 0 {
			page, s.pages = s.pages[0], s.pages[1:]
			s.held -= page.Bytes()
			p.held -= page.Bytes()
			return page, true, false
		}
		if !s.done || s.inFlight {
			return page, false, false
		}
		p.segments = p.segments[1:]
	}
	return page, false, true
}

func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// hull is the least and the greatest byte seen at each offset. It counts where
// it was seen after enough different beginnings of keys: one directory tells
// nothing of where another one ends.
type hull []struct {
	lo, hi byte
	after  []uint32 // hashes of the beginnings
}

// enough is how many beginnings of a key are evidence.
const enough = 8

func (h *hull) add(keys []string) {
	for _, k := range keys {
		for len(*h) < len(k) {
			*h = append(*h, struct {
				lo, hi byte
				after  []uint32
			}{lo: 0xFF})
		}
		hash := uint32(2166136261)
		for i := range len(k) {
			o := &(*h)[i]
			o.lo, o.hi = min(o.lo, k[i]), max(o.hi, k[i])
			if len(o.after) < enough && !slices.Contains(o.after, hash) {
				o.after = append(o.after, hash)
			}
			hash = (hash ^ uint32(k[i])) * 16777619
		}
	}
}

// narrow takes from the alphabet what was never seen at its offsets.
func (h hull) narrow(a *alphabet) {
	for i := range a.sets {
		if at := a.base + i; at < len(h) && len(h[at].after) == enough {
			seen := span(h[at].lo, h[at].hi)
			a.sets[i].intersect(&seen)
		}
	}
	a.weigh()
}
