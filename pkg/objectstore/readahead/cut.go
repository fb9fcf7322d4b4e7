package readahead

import (
	"slices"

	"github.com/rangefleet/rangefleet/pkg/forecast"
)

// late reports whether a segment should be cut if the consumer needs its end after
// `patience` LISTs.
func (p *plan[P]) late(s *segment[P], patience float64) bool {
	return p.mayCut(s) && s.rest.Pages >= patience+1
}

func (p *plan[P]) mayCut(s *segment[P]) bool {
	return (!s.whole || p.forecast.Doubt < sound) && !s.done && s.rest.Known() && (!p.isPast(s) || p.passed > 0)
}

// wasted is how many LISTs were made beyond the pages that they brought.
func (p *plan[P]) wasted() float64 { return float64(p.calls) - p.useful }

// thrift is how many times more patient to be for what was wasted.
func (p *plan[P]) thrift() float64 {
	bound := float64(stingy)
	if p.useful > settledAfter*p.window() {
		bound = settled
	}
	return min(bound, max(1, p.wasted()/(thriftyFirst+thriftyShare*p.useful)))
}

// allowance is how many segments may be cut off now, beside guesses: nearer ones of which
// nothing is listed yet. As long as most of them turn out to hold keys there may be more
// at once; as soon as they do not, few.
func (p *plan[P]) allowance(guesses int) int {
	if p.wasted() > wastefulFirst+wastefulShare*p.useful {
		return max(1, int(p.trust/4)) - guesses
	}
	return int(p.trust) - guesses
}

// guessed learns from the first LIST of a segment that was cut off whether it holds a key.
func (p *plan[P]) guessed(right bool) {
	if right {
		p.trust++
	} else {
		p.trust = max(leastTrust, p.trust*lessTrust)
	}
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
