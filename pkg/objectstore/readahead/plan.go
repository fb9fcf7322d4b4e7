package readahead

import (
	"slices"

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
	expected bool   // the segment before has shown that begins must equal expect
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
	confirm  bool   // only a page without keys shows an end
	segments []*segment[P]
	inFlight int
	past     int // pages past upto that are held or asked for
	passed   int // pages past upto that were taken

	buffer   buffer
	waste    waste
	seams    seams[P]
	forecast *forecast.Pages
	keys     keyReader[P]
}

// call is one LIST to be made: the page after a key.
type call[P paged[P]] struct {
	segment *segment[P]
	after   string
}

func newPlan[P paged[P]](prefix, after, upto string, budget int) *plan[P] {
	p := &plan[P]{
		upto: upto, buffer: buffer{budget: budget}, waste: waste{trust: firstTrust},
		forecast: forecast.NewPages(prefix),
	}
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
			if p.keys.at(page, 0) > upto {
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
	p.waste.lists++
	last := s.rest.Pos
	var keys []string
	if n > 0 {
		keys = p.keys.sample(page)
		last = keys[len(keys)-1]
		p.buffer.measure(n, page.Bytes())
		p.forecast.See(&s.rest, keys)
	}
	expected, hi := s.rest.Pages, s.rest.Hi
	i := slices.Index(p.segments, s)
	if s.lists == 0 && n > 0 {
		s.begins = p.keys.at(page, 0)
	}
	p.seams.check(s, n, last, said)
	p.absorb(i, last, more)
	kept := p.keys.through(page, last, s.rest.Hi)
	s.done = kept < n || !more || s.rest.Hi != "" && last >= s.rest.Hi
	s.lists++
	s.whole = false
	if s.guess {
		s.guess = false
		p.waste.guessed(kept > 0)
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
		p.forecast.Revise(expected, s.rest.Pages+float64(kept)/float64(max(1, p.buffer.pageLen)))
	}
}

// adjoin checks what the last page of segment i shows behind the entries that it keeps
// against the next segment.
func (p *plan[P]) adjoin(i int, page P, kept int, more bool) {
	if i+1 == len(p.segments) {
		return
	}
	behind := ""
	if kept < page.Len() {
		behind = p.keys.at(page, kept)
	}
	p.seams.adjoin(p.segments[i+1], behind, more)
}

// end records that segment i has shown that the store has nothing after last. Segments that
// start behind it and were not begun need not be listed, unless another one has shown a
// later key. Other segments have yet to show the keys before last that lie in them.
func (p *plan[P]) end(i int, last string) {
	if i+1 < len(p.segments) {
		p.seams.end(last)
	}
	for _, s := range p.segments[i+1:] {
		switch {
		case s.begun():
			p.seams.torn = p.seams.torn || s.begins > last
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
	p.buffer.held = 0
}

func release(page any) {
	if r, ok := page.(interface{ Release() }); ok {
		r.Release()
	}
}

// keep holds the first entries of a page of s for the consumer. keys is a sample of the page.
func (p *plan[P]) keep(s *segment[P], page P, keys []string, kept int) {
	if kept == 0 {
		release(page)
		return
	}
	if kept < page.Len() {
		page = page.Head(kept)
		keys = p.keys.sample(page)
	}
	full := float64(kept) / float64(p.buffer.pageLen)
	p.waste.useful += full
	p.forecast.Advance(&s.rest, keys, full, s.done)
	s.pages = append(s.pages, page)
	p.buffer.held += page.Bytes()
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

// take returns the next page in key order. ok is false if it has not arrived, done is true
// if there are no more.
func (p *plan[P]) take() (page P, ok, done bool) {
	for len(p.segments) > 0 {
		s := p.segments[0]
		if len(s.pages) > 0 {
			page, s.pages = s.pages[0], s.pages[1:]
			p.buffer.held -= page.Bytes()
			if p.upto != "" && p.keys.at(page, 0) > p.upto {
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
