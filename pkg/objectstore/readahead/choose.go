package readahead

import (
	"slices"

	"github.com/rangefleet/rangefleet/pkg/forecast"
)

// choose returns the nearest segment whose next page may be listed. On its way it cuts
// segments that would be late: those that take longer to be listed to their ends than the
// consumer takes to get there.
func (p *plan[P]) choose(limit int, rate float64) *segment[P] {
	lag := p.lag(limit, rate)
	s := p.scan(limit, rate, lag, lag)
	if s == nil && lag > 0 { // LISTs are idle
		s = p.scan(limit, rate, 0, lag)
	}
	return s
}

// scan is choose with the consumer allowed to wait for lag more LISTs. It cuts pieces of
// `long` pages if there are enough for all idle LISTs.
func (p *plan[P]) scan(limit int, rate, lag, long float64) *segment[P] {
	ahead, unlisted, guesses := 0.0, 0.0, 0
	thrift, end := p.waste.thrift(p.buffer.window()), reach*p.buffer.window()
	blocked := long == 0 && float64(p.buffer.held) >= ready*rate*p.buffer.pageSize
	for i := 0; i < len(p.segments) && ahead <= end; i++ {
		s := p.segments[i]
		if s.guess {
			guesses++
		}
		due := max(ahead/rate, unlisted/float64(limit))
		careful := caution * p.forecast.DoubtOf(&s.rest)
		patience := slack + careful + lag + thrift*hurry*due
		if blocked {
			patience = min(patience, thrift*(tight+careful/3)+due)
		}
		if p.late(s, patience) {
			idle := limit - p.inFlight
			first := max(patience, min(long, s.rest.Pages/float64(idle+1)))
			growth := thrift * hurry * max(1/rate, 1/float64(limit))
			p.cutSegment(i, min(p.waste.allowance(guesses), idle), forecast.Tiling{First: first, Growth: growth, End: end - ahead})
		}
		if !s.done && !s.inFlight && p.admits(i, ahead) {
			return s
		}
		rest := s.rest.Pages
		if !s.done {
			rest = max(rest, 1)
		}
		ahead += float64(len(s.pages)) + rest
		unlisted += rest
	}
	return nil
}

// lag is for how many more LISTs the consumer may wait because it catches up later: it is
// faster than its LISTs, and the pages listed meanwhile lie in a part of the budget.
//
// Keys far ahead may be handed over to others, which wastes their pages. So only the
// first part of what is left before upto is listed.
func (p *plan[P]) lag(limit int, rate float64) float64 {
	pages := lagging * p.buffer.window()
	if p.upto != "" {
		pages = min(pages, given*p.left())
	}
	return max(0, 1-float64(limit)/rate) * pages / float64(limit)
}

// left is how many pages before upto are expected that were not taken.
func (p *plan[P]) left() (pages float64) {
	for _, s := range p.segments {
		if p.isPast(s) {
			break
		}
		pages += float64(len(s.pages)) + s.rest.Pages
	}
	return pages
}

// admits reports whether a page of segment i may be listed, with `ahead` pages before it. The
// first segment is always admitted, or nothing would ever be taken. The nearer a segment
// is, the more of the budget it may use; else segments far ahead that turn out longer
// than estimated would leave the first one to list its rest with a single LIST.
func (p *plan[P]) admits(i int, ahead float64) bool {
	s := p.segments[i]
	switch {
	case i == 0:
		return true
	case p.waste.useful == 0:
		return false
	case p.isPast(s) && p.past >= pastUpto+p.passed:
		return false
	default:
		return p.buffer.free(p.inFlight) >= 1+reserve*min(ahead, p.buffer.window())
	}
}

// late reports whether a segment should be cut if the consumer needs its end after
// `patience` LISTs.
func (p *plan[P]) late(s *segment[P], patience float64) bool {
	return p.mayCut(s) && s.rest.Pages >= patience+1
}

func (p *plan[P]) mayCut(s *segment[P]) bool {
	return (!s.whole || p.forecast.Doubt < sound) && !s.done && s.rest.Known() && (!p.isPast(s) || p.passed > 0)
}

// cutSegment cuts segment i at up to n keys.
func (p *plan[P]) cutSegment(i, n int, t forecast.Tiling) {
	s := p.segments[i]
	if n < 1 {
		return
	}
	pieces := p.forecast.Cut(&s.rest, n, t)
	if len(pieces) == 0 {
		s.whole = true
		return
	}
	made := make([]*segment[P], len(pieces))
	for j, piece := range pieces {
		made[j] = &segment[P]{rest: piece.Rest, guess: !piece.Top, whole: true}
	}
	p.segments = slices.Insert(p.segments, i+1, made...)
}
