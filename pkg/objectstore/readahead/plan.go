package readahead

import (
	"slices"
	"sort"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// paged is one page of a listing: entries in strictly increasing order of keys.
// P is the type itself. If it has a method Release, that is called for pages
// that are never handed over.
type paged[P any] interface {
	Len() int
	AppendKey(dst []byte, i int) []byte // of entry i
	ModTime(i int) int64                // of entry i, in nanoseconds since the Unix epoch
	Bytes() int                         // of memory that the page holds
	Head(n int) P                       // the first n entries, 0 < n <= Len; the page itself is given up
	Tail(n int) P                       // the entries from n on, 0 <= n <= Len; the page itself is given up
}

// segment is the keys (lo, hi] of a listing, of which those up to pos are
// listed. At most one LIST is in flight for it.
type segment[P paged[P]] struct {
	pos, hi  string // hi "" is the end of all keys
	done     bool   // pos has reached hi
	inFlight bool
	pages    []P  // listed, not yet taken
	listed   int  // LISTs since the segment was made or cut
	total    int  // LISTs since it was made
	promised bool // keys follow pos, as the store said or has shown
	guess    bool // nothing of it was listed since it was cut off
	whole    bool // not to be cut before its next page: what it holds is a guess until then
	estimate

	begins   string // first key that its first LIST showed, at hi or beyond it too
	expected bool   // the segment before has shown what begins must be
	expect   string
}

func (s *segment[P]) begun() bool { return s.inFlight || s.total > 0 }

// plan tiles what is ahead of a consumer with segments, and decides which of
// them to list next and where to cut them. It knows no clock, goroutine or
// network: LISTs are calls that next returns and arrived or failed end.
//
// The segments tile (what was taken, the end of all keys]: each starts where
// the one before ends. So a bad cut costs a LIST, never a key.
type plan[P paged[P]] struct {
	prefix   string
	upto     string // the consumer may stop soon after it; "" is never
	budget   int    // bytes that pages may hold
	confirm  bool   // an end is believed only of a page without keys
	segments []*segment[P]
	inFlight int
	held     int // bytes of pages not yet taken

	pageLen  int     // entries of the longest page
	pageSize float64 // bytes of a full page, a moving average
	calls    int     // LISTs that arrived
	useful   float64 // full pages' worth of entries that arrived
	past     int     // pages past upto that are held or asked for
	passed   int     // pages past upto that were taken
	torn     bool    // two LISTs contradict each other
	ended    bool    // the store said that nothing follows endAt, and segments behind it were not listed
	endAt    string

	climb climb   // where hi is a run
	doubt float64 // by what part of themselves estimates were wrong, a moving average
	trust float64 // how many segments may be cut off and not be listed

	hull     keyspace.Hull
	pairs    keyspace.Pairs
	code     keyspace.Code
	alphabet keyspace.Alphabet
	sample   []string // scratch, like text
	text     []byte
}

// call is one LIST to be made: the page after a key.
type call[P paged[P]] struct {
	segment *segment[P]
	after   string
}

func newPlan[P paged[P]](prefix, after, upto string, budget int) *plan[P] {
	p := &plan[P]{prefix: prefix, upto: upto, budget: budget, trust: firstTrust, doubt: firstDoubt}
	first := &segment[P]{pos: after, estimate: estimate{rest: 1}}
	p.segments = append(p.segments, first)
	if upto != "" && upto > max(after, prefix) {
		first.hi = upto
		p.segments = append(p.segments, &segment[P]{pos: upto, estimate: estimate{rest: 1}})
	}
	return p
}

// next returns the next LIST to make, of at most limit in flight, or false if
// there is none until a page arrives or is taken. rate is how many pages the
// consumer takes while a LIST lasts.
func (p *plan[P]) next(limit int, rate float64) (call[P], bool) {
	if p.inFlight >= limit {
		return call[P]{}, false
	}
	s := p.choose(limit, rate)
	if s == nil {
		return call[P]{}, false
	}
	s.inFlight = true
	p.inFlight++
	if p.isPast(s) {
		p.past++
	}
	return call[P]{s, s.pos}, true
}

func (p *plan[P]) isPast(s *segment[P]) bool { return p.upto != "" && s.pos >= p.upto }

// narrow brings upto nearer. What is listed past it already stays.
func (p *plan[P]) narrow(upto string) {
	if upto == "" || p.upto != "" && upto >= p.upto {
		return
	}
	p.upto, p.past, p.passed = upto, 0, 0
	for _, s := range p.segments {
		for _, page := range s.pages {
			if p.keyOf(page, 0) > upto {
				p.past++
			}
		}
		if s.inFlight && p.isPast(s) {
			p.past++
		}
	}
}

// failed ends a call without a page; it will be made again.
func (p *plan[P]) failed(c call[P]) {
	c.segment.inFlight = false
	p.inFlight--
	if p.isPast(c.segment) {
		p.past--
	}
}

// arrived ends a call with the page that it returned, whose keys lie after the
// call's, and whether the store has more after them. The page is clipped at the
// segment's end, which may have moved since.
func (p *plan[P]) arrived(c call[P], page P, more bool) {
	s, n, said := c.segment, page.Len(), more
	if n > 0 && p.confirm {
		more = true // as far as can be told: a page without keys shows the end
	}
	p.failed(c)
	p.calls++
	last, news := s.pos, false
	var keys []string
	if n > 0 {
		keys = p.sampleOf(page)
		last = keys[len(keys)-1]
		news = p.observe(s, page, keys)
	}
	expected, hi := s.rest, s.hi
	i := slices.Index(p.segments, s)
	p.compare(s, page)
	p.contradict(s, n, last, said)
	p.absorb(i, last, more)
	kept := n
	if s.hi != "" && last > s.hi {
		kept = sort.Search(n, func(i int) bool { return p.keyOf(page, i) > s.hi })
	}
	s.done = kept < n || !more || s.hi != "" && last >= s.hi
	s.listed++
	s.total++
	s.whole = false
	if s.guess {
		s.guess = false
		p.guessed(kept > 0)
	}
	if s.done {
		p.adjoin(i, page, kept, said)
	}
	p.keep(c, page, keys, kept)
	if !more {
		p.end(i, last)
	}
	s.promised = said
	p.reckon(s, news)
	if hi == s.hi && hi != "" {
		p.revise(expected, s.rest+float64(kept)/float64(max(1, p.pageLen)))
	}
}

// contradict notes whether a LIST of n entries contradicts what the store said before.
func (p *plan[P]) contradict(s *segment[P], n int, last string, more bool) {
	switch {
	case n == 0 && !more && s.promised:
		p.torn = true
	case n > 0 && p.ended && last > p.endAt:
		p.torn = true
	}
}

// end notes that the store has nothing after last, which segment i has shown. What
// lies before it in other segments they have to show themselves, and those that were
// not begun need not be listed, unless another one has shown a later key.
func (p *plan[P]) end(i int, last string) {
	if i+1 < len(p.segments) && (!p.ended || last < p.endAt) {
		p.ended, p.endAt = true, last
	}
	for _, s := range p.segments[i+1:] {
		switch {
		case s.begun():
			p.torn = p.torn || s.begins > last
		case s.pos >= last:
			s.done, s.rest = true, 0
		}
	}
}

// drop releases all pages that were not taken.
func (p *plan[P]) drop() {
	for _, s := range p.segments {
		for _, page := range s.pages {
			release(page)
		}
		s.pages = nil
	}
	p.held = 0
}

func release(page any) {
	if r, ok := page.(interface{ Release() }); ok {
		r.Release()
	}
}

// keep holds the first entries of a call's page, of which keys is a sample, for the
// consumer.
func (p *plan[P]) keep(c call[P], page P, keys []string, kept int) {
	if kept == 0 {
		release(page)
		return
	}
	if kept < page.Len() {
		page = page.Head(kept)
		keys = p.sampleOf(page)
	}
	s := c.segment
	s.pos = keys[len(keys)-1]
	start, full := keys[0], float64(kept)/float64(p.pageLen)
	p.useful += full
	pages := full
	if s.total > 1 && s.known() && strings.HasPrefix(s.start, directory(keys[0], s.pos)) {
		start, pages = s.start, s.density.pages+full
	}
	s.density = &density{start: start, pages: pages, first: keys[0], last: s.pos, sample: keys, full: full}
	p.climb.add(s.estimate, c.after, s.hi, s.done)
	s.pages = append(s.pages, page)
	p.held += page.Bytes()
	if p.upto != "" && keys[0] > p.upto {
		p.past++
	}
}

// absorb gives the segments that follow segment i to it as far as they were not
// begun and the page reaches into them: what it lists beyond its segment need
// not be listed again.
func (p *plan[P]) absorb(i int, last string, more bool) {
	s := p.segments[i]
	for i+1 < len(p.segments) && s.hi != "" && (last > s.hi || !more) {
		next := p.segments[i+1]
		if next.begun() || next.done {
			return
		}
		s.hi, s.rest = next.hi, s.rest+next.rest
		p.segments = slices.Delete(p.segments, i+1, i+2)
	}
}

// compare checks what the first LIST of a segment shows first with what the
// segment before it has shown already.
func (p *plan[P]) compare(s *segment[P], page P) {
	if s.total > 0 {
		return
	}
	if page.Len() > 0 {
		s.begins = p.keyOf(page, 0)
	}
	if s.expected && s.begins != s.expect {
		p.torn = true
	}
}

// adjoin checks the key that segment i's last page shows after its end, that there is
// none, or that there is some, with what the next segment's first LIST shows. They differ
// only if the store changes just there, or does not keep to the start that it is
// given: some are known to skip a key where the start names none.
func (p *plan[P]) adjoin(i int, page P, kept int, more bool) {
	if i+1 == len(p.segments) {
		return
	}
	if kept == page.Len() && more {
		next := p.segments[i+1]
		next.promised = next.total == 0
		p.torn = p.torn || next.total > 0 && next.begins == ""
		return
	}
	key := ""
	if kept < page.Len() {
		key = p.keyOf(page, kept)
	}
	switch next := p.segments[i+1]; {
	case next.total > 0:
		p.torn = p.torn || next.begins != key
	default:
		next.expected, next.expect = true, key
	}
}

// take returns the next page in key order; ok is false if it has not arrived,
// done is true if there is none.
func (p *plan[P]) take() (page P, ok, done bool) {
	for len(p.segments) > 0 {
		s := p.segments[0]
		if len(s.pages) > 0 {
			page, s.pages = s.pages[0], s.pages[1:]
			p.held -= page.Bytes()
			if p.upto != "" && p.keyOf(page, 0) > p.upto {
				p.past--
				p.passed++
			}
			return page, true, false
		}
		if !s.done {
			return page, false, false
		}
		p.segments = p.segments[1:]
	}
	return page, false, true
}
