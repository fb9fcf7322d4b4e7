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
