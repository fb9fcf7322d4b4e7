package readahead

import (
	"slices"
	"sort"

	"github.com/rangefleet/rangefleet/pkg/forecast"
)

// paged is one page of a listing: entries in strictly increasing order of keys. P is the
// page type itself. If it has a method Release, that is called for pages that are never
// handed over.
type paged[P any] interface {
	Len() int
	AppendKey(dst []byte, i int) []byte // of entry i
	ModTime(i int) int64                // of entry i, in nanoseconds since the Unix epoch
	Bytes() int                         // memory that the page holds
	Head(n int) P                       // the first n entries, 0 < n <= Len; the page itself is given up
	Tail(n int) P                       // the entries from n on, 0 <= n <= Len; the page itself is given up
}

// segment is the keys (lo, hi] of a listing: pages that are listed, and the rest. At most
// one LIST is in flight for it.
type segment[P paged[P]] struct {
	pages    []P           // listed, not yet taken
	rest     forecast.Rest // not yet listed
	done     bool          // nothing is left of rest
	inFlight bool
	lists    int  // LISTs that arrived since it was made
	promised bool // keys follow rest.Pos, as the store said or has shown
	guess    bool // nothing of it was listed yet, and it was cut off where keys were expected
	whole    bool // not to be cut before its next page, which shows what it holds

	begins   string // first key that its first LIST showed, at hi or beyond it too
	expected bool   // the segment before has shown that begins must be expect
	expect   string
}

func (s *segment[P]) begun() bool { return s.inFlight || s.lists > 0 }

// plan tiles what is ahead of a consumer with segments, and decides which of
// them to list next and where to cut them. It knows no clock, goroutine or
// network: LISTs are calls that next returns and arrived or returned end.
//
// The segments tile (what was taken, the end of all keys]: each starts where
// the one before ends. So a bad cut costs a LIST, never a key.
type plan[P paged[P]] struct {
	upto     string // the consumer may stop soon after it; "" is the end of all keys
	budget   int    // bytes that pages may hold
	confirm  bool   // only a page without keys shows an end
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

	trust    float64 // how many segments may be cut off ahead of their first LISTs
	forecast *forecast.Pages
	text     []byte // scratch
}

// call is one LIST to be made: the page after a key.
type call[P paged[P]] struct {
	segment *segment[P]
	after   string
}

func newPlan[P paged[P]](prefix, after, upto string, budget int) *plan[P] {
	p := &plan[P]{upto: upto, budget: budget, trust: firstTrust, forecast: forecast.NewPages(prefix)}
	first := &segment[P]{rest: forecast.Rest{Pos: after, Pages: 1}}
	p.segments = append(p.segments, first)
	if upto != "" && upto > max(after, prefix) {
		first.rest.Hi = upto
		p.segments = append(p.segments, &segment[P]{rest: forecast.Rest{Pos: upto, Pages: 1}})
	}
	return p
}

// next returns the next LIST to make, with at most limit in flight, or false if there is
// none until a page arrives or is taken. rate is how many pages the consumer takes while a
// LIST lasts.
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
	return call[P]{s, s.rest.Pos}, true
}

func (p *plan[P]) isPast(s *segment[P]) bool { return p.upto != "" && s.rest.Pos >= p.upto }

// narrow brings upto nearer. Pages past it that are listed already stay.
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

// returned takes back a call that ended. One that brought no page will be made again.
func (p *plan[P]) returned(c call[P]) {
	c.segment.inFlight = false
	p.inFlight--
	if p.isPast(c.segment) {
		p.past--
	}
}

// arrived ends a call with the page that it returned, whose keys lie after the call's start;
// more is whether the store has more after them. The page is clipped at the segment's end,
// which may have moved since.
func (p *plan[P]) arrived(c call[P], page P, more bool) {
	s, n, said := c.segment, page.Len(), more
	if n > 0 && p.confirm {
		more = true // until a page without keys shows the end
	}
	p.returned(c)
	p.calls++
	last := s.rest.Pos
	var keys []string
	if n > 0 {
		keys = p.sampleOf(page)
		last = keys[len(keys)-1]
		p.measure(page)
		p.forecast.See(&s.rest, keys)
	}
	expected, hi := s.rest.Pages, s.rest.Hi
	i := slices.Index(p.segments, s)
	p.compare(s, page)
	p.contradict(s, n, last, said)
	p.absorb(i, last, more)
	kept := n
	if s.rest.Hi != "" && last > s.rest.Hi {
		kept = sort.Search(n, func(i int) bool { return p.keyOf(page, i) > s.rest.Hi })
	}
	s.done = kept < n || !more || s.rest.Hi != "" && last >= s.rest.Hi
	s.lists++
	s.whole = false
	if s.guess {
		s.guess = false
		p.guessed(kept > 0)
	}
	if s.done {
		p.adjoin(i, page, kept, said)
	}
	p.keep(s, page, keys, kept)
	if !more {
		p.end(i, last)
	}
	s.promised = said
	if s.done {
		s.rest.Pages = 0
	} else {
		p.forecast.Reckon(&s.rest)
	}
	if hi == s.rest.Hi && hi != "" {
		p.forecast.Revise(expected, s.rest.Pages+float64(kept)/float64(max(1, p.pageLen)))
	}
}

// measure learns how large pages are.
func (p *plan[P]) measure(page P) {
	p.pageLen = max(p.pageLen, page.Len())
	size := float64(page.Bytes()) / float64(page.Len()) * float64(p.pageLen)
	if p.pageSize == 0 {
		p.pageSize = size
	}
	p.pageSize += (size - p.pageSize) / 16
}

// sampleOf returns keys of a page, the first and the last among them.
func (p *plan[P]) sampleOf(page P) []string {
	n := page.Len()
	keys := make([]string, min(forecast.Samples, n))
	text, ends := p.text[:0], [forecast.Samples]int{}
	for i := range keys {
		text = page.AppendKey(text, i*(n-1)/max(1, len(keys)-1))
		ends[i] = len(text)
	}
	p.text = text
	all, start := string(text), 0 // one allocation
	for i := range keys {
		keys[i] = all[start:ends[i]]
		start = ends[i]
	}
	return keys
}

// keyOf returns key i of a page.
func (p *plan[P]) keyOf(page P, i int) string {
	p.text = page.AppendKey(p.text[:0], i)
	return string(p.text)
}

// contradict checks a LIST of n entries against what the store said before.
func (p *plan[P]) contradict(s *segment[P], n int, last string, more bool) {
	switch {
	case n == 0 && !more && s.promised:
		p.torn = true
	case n > 0 && p.ended && last > p.endAt:
		p.torn = true
	}
}

// end records that segment i has shown that the store has nothing after last. Segments that
// start behind it and were not begun need not be listed, unless another one has shown a
// later key. Other segments have yet to show the keys before last that lie in them.
func (p *plan[P]) end(i int, last string) {
	if i+1 < len(p.segments) && (!p.ended || last < p.endAt) {
		p.ended, p.endAt = true, last
	}
	for _, s := range p.segments[i+1:] {
		switch {
		case s.begun():
			p.torn = p.torn || s.begins > last
		case s.rest.Pos >= last:
			s.done, s.rest.Pages = true, 0
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

// keep holds the first entries of a page of s, of which keys is a sample, for the
// consumer.
func (p *plan[P]) keep(s *segment[P], page P, keys []string, kept int) {
	if kept == 0 {
		release(page)
		return
	}
	if kept < page.Len() {
		page = page.Head(kept)
		keys = p.sampleOf(page)
	}
	full := float64(kept) / float64(p.pageLen)
	p.useful += full
	p.forecast.Advance(&s.rest, keys, full, s.done)
	s.pages = append(s.pages, page)
	p.held += page.Bytes()
	if p.upto != "" && keys[0] > p.upto {
		p.past++
	}
}

// absorb merges into segment i the segments behind it that were not begun and into which its
// page reaches, so that what the page shows of them need not be listed again.
func (p *plan[P]) absorb(i int, last string, more bool) {
	s := p.segments[i]
	for i+1 < len(p.segments) && s.rest.Hi != "" && (last > s.rest.Hi || !more) {
		next := p.segments[i+1]
		if next.begun() || next.done {
			return
		}
		s.rest.Hi, s.rest.Pages = next.rest.Hi, s.rest.Pages+next.rest.Pages
		p.segments = slices.Delete(p.segments, i+1, i+2)
	}
}

// compare checks the first key of a segment's first LIST against what the segment before
// has shown.
func (p *plan[P]) compare(s *segment[P], page P) {
	if s.lists > 0 {
		return
	}
	if page.Len() > 0 {
		s.begins = p.keyOf(page, 0)
	}
	if s.expected && s.begins != s.expect {
		p.torn = true
	}
}

// adjoin checks what segment i's last page shows behind its end (a key, none, or that there
// is some key) against the first LIST of the next segment. They differ only if the
// store changes just there, or does not keep to the start of a LIST: some stores skip a
// key if the start is no key.
func (p *plan[P]) adjoin(i int, page P, kept int, more bool) {
	if i+1 == len(p.segments) {
		return
	}
	if kept == page.Len() && more {
		next := p.segments[i+1]
		next.promised = next.lists == 0
		p.torn = p.torn || next.lists > 0 && next.begins == ""
		return
	}
	key := ""
	if kept < page.Len() {
		key = p.keyOf(page, kept)
	}
	switch next := p.segments[i+1]; {
	case next.lists > 0:
		p.torn = p.torn || next.begins != key
	default:
		next.expected, next.expect = true, key
	}
}

// take returns the next page in key order. ok is false if it has not arrived, done is true
// if there are no more.
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
