package readahead

import (
	"math"
	"slices"
)

// cut cuts the segment where that gains most, and reports whether it did.
//
// In a steady listing pages arrive in key order, limit of them in a round trip.
// A segment is late by as much as its rest takes longer than that, and what
// room there is ahead of it, filled by others meanwhile, says how late it may
// be. With idle LISTs (next is nil) the latest is cut anyway.
func (p *plan[P]) cut(next *segment[P], limit int) bool {
	if p.useful == 0 {
		return false
	}
	allowed := p.allowance()
	if allowed < 1 {
		return false
	}
	window := p.window()
	free := window - float64(p.held)/p.pageSize - float64(p.inFlight)
	if free < 1 {
		return false
	}
	slack := 0.0
	if next != nil {
		slack = tAlpha * free / float64(limit)
	}
	best, most, bestFar := -1, 0.0, 0.0
	ahead, unlisted := 0.0, 0.0
	for i, s := range p.segments {
		if s == next {
			break
		}
		r := min(s.rest, window-ahead)
		late := r - (unlisted+r)/float64(limit) - slack
		if !s.done && s.listed > 0 && late > most && s.rest >= p.least() {
			best, most, bestFar = i, late, unlisted
		}
		unlisted += s.rest
		ahead += float64(len(s.pages)) + s.rest
		if ahead > window {
			break
		}
	}
	if best < 0 {
		return false
	}
	n := int(allowed)
	idle := limit - p.inFlight
	if next != nil {
		idle = 1
		n = min(n, int(p.segments[best].rest/(max(tPiece, slack+bestFar/float64(limit)))))
	} else {
		n = min(n, idle)
	}
	return p.cutSegment(best, max(1, n), limit)
}

// least is the shortest rest that is worth a cut, in pages.
func (p *plan[P]) least() float64 { return tLeast }

// allowance is how many more cuts may be made: each will cost half a LIST on
// average, more if nothing lies behind it, and together they must stay a small
// share of what was listed.
func (p *plan[P]) allowance() float64 {
	wasted := float64(p.calls) - p.useful
	open := 0
	for _, s := range p.segments {
		if !s.done {
			open++
		}
	}
	return 2*(min(4*p.useful, tBase+tShare*p.useful)-wasted) - float64(open)
}

// cutSegment cuts segment i into up to n+1.
func (p *plan[P]) cutSegment(i, n, limit int) bool {
	s := p.segments[i]
	if s.first == "" || s.first >= s.pos {
		return false
	}
	p.model(s, true)
	cuts := p.cuts(s, n, limit)
	if len(cuts) == 0 {
		p.model(s, false)
		cuts = p.cuts(s, n, limit)
	}
	if len(cuts) == 0 {
		s.rest = min(s.rest, p.least()-1) // until its next page
		return false
	}
	p.insert(i, cuts)
	return true
}

type cutAt struct {
	key   string
	pages float64 // after pos
	open  bool
}

func (p *plan[P]) cuts(s *segment[P], n, limit int) []cutAt {
	width := p.alphabet.distance(s.first, s.pos) - math.Log(s.full)
	var cuts []cutAt
	add := func(key string, pages float64) {
		if key > s.pos && (s.hi == "" || key < s.hi) {
			cuts = append(cuts, cutAt{key: key, pages: pages})
		}
	}
	if s.end != s.hi {
		add(s.end, s.inside)
		n--
	}
	if s.open {
		for _, key := range p.alphabet.tops(s.pos) {
			if n > 0 && (s.hi == "" || key < s.hi) {
				cuts = append(cuts, cutAt{key, s.rest, true})
				n--
			}
		}
	}
	if c := common(s.pos, s.hi) + 1; s.outlived && c < len(s.hi) && n > 1 {
		add(validKey([]byte(s.hi[:c])), s.rest)
		n--
	}
	n = min(n, max(1, int(tBatch*float64(s.listed))))
	for _, pages := range p.places(s, n, limit) {
		if key, ok := p.alphabet.add(s.pos, width+math.Log(pages)); ok && (s.end == "" || key < s.end) {
			add(key, pages)
		}
	}
	slices.SortFunc(cuts, func(a, b cutAt) int {
		if a.key < b.key {
			return -1
		} else if a.key > b.key {
			return 1
		}
		return 0
	})
	return slices.CompactFunc(cuts, func(a, b cutAt) bool { return a.key == b.key })
}

// places returns after how many pages to cut.
func (p *plan[P]) places(s *segment[P], n, limit int) []float64 {
	length := max(4, 1.2*p.window()/float64(limit))
	var at []float64
	switch {
	case s.inside <= 2*length || s.listed >= 3 && s.inside <= 8*length:
		n = min(n, max(1, int(s.inside/length)), int(s.inside/2)-1)
		n = max(n, 1)
		for j := 1; j <= n; j++ {
			at = append(at, s.inside*float64(j)/float64(n+1))
		}
	default:
		// evenly; geometrically from the low and the high end.
		even, low := (n+2)/3, (n+1)/3
		hi := n - even - low
		for j := 1; j <= even; j++ {
			at = append(at, min(s.inside*float64(j)/float64(even+1), s.inside))
		}
		q := math.Pow(s.inside/length, 1/float64(low+1))
		x := length
		for range low {
			at = append(at, x)
			x *= q
		}
		x = s.inside / float64(even+1)
		for range hi {
			x /= 8
			at = append(at, s.inside-x)
		}
	}
	return at
}

// insert cuts segment i at the cuts.
func (p *plan[P]) insert(i int, cuts []cutAt) {
	s := p.segments[i]
	hi, rest, open := s.hi, s.rest, s.open
	s.open = cuts[0].open
	s.hi, s.rest, s.listed = cuts[0].key, cuts[0].pages, max(1, 0)
	made := make([]*segment[P], len(cuts))
	for j, c := range cuts {
		end, upto, open := rest, hi, open
		if j+1 < len(cuts) {
			end, upto, open = cuts[j+1].pages, cuts[j+1].key, cuts[j+1].open
		}
		made[j] = &segment[P]{pos: c.key, hi: upto, open: open, rest: max(0, end-c.pages)}
	}
	p.segments = slices.Insert(p.segments, i+1, made...)
}
