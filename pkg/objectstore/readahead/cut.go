package readahead

import (
	"math"
	"slices"
	"strings"
)

// late reports whether a segment should be cut, if its first pages are needed
// after so many LISTs.
func (p *plan[P]) late(s *segment[P], patience float64) bool {
	return p.mayCut(s) && s.rest >= patience+1.5
}

func (p *plan[P]) mayCut(s *segment[P]) bool {
	return !p.serial && !s.whole && !s.done && s.known() && (!p.isPast(s) || p.passed > 0)
}

// How many LISTs cuts may waste, most of them half of one at the end of a
// segment, before nothing is cut any more.
const (
	wasteFirst = 100
	wasteShare = 0.2 // of the pages listed
)

// thrift is by how much more patient to be for what was wasted.
func (p *plan[P]) thrift() float64 {
	return min(4, max(1, (float64(p.calls)-p.useful)/(thriftFirst+thriftShare*p.useful)))
}

const (
	thriftFirst = 40
	thriftShare = 0.03
)

// allowance is how many segments may be cut off now. As long as most of them
// hold keys there may be more of them at once; as soon as they do not, few.
func (p *plan[P]) allowance(guesses int) int {
	if float64(p.calls)-p.useful > wasteFirst+wasteShare*p.useful {
		return max(1, int(p.trust/4)) - guesses
	}
	return int(p.trust) - guesses
}

// guessed learns from the first LIST of a segment that was cut off whether there
// is anything in it.
func (p *plan[P]) guessed(s *segment[P], kept int) {
	if kept > 0 {
		p.trust++
	} else {
		p.trust = max(1, p.trust*0.8)
	}
}

// bears is how many cuts one density may be the reason of, its own page aside.
const bears = 16

// point is where to cut a segment.
type point struct {
	key   string
	pages float64 // estimated, from pos to key
	top   bool    // a guess at where keys end
}

// tiling says how long the pieces of a segment may be: first so many pages, then
// longer the further away from the consumer they start.
type tiling struct {
	first  float64 // pages of the first piece
	ahead  float64 // pages before it
	growth float64 // of pieces, for each page between the consumer and them
	end    float64 // where no more need be cut, in pages from the consumer
}

// cutSegment cuts segment i at up to n points.
func (p *plan[P]) cutSegment(i, n int, t tiling) bool {
	if n < 1 {
		return false
	}
	s := p.segments[i]
	if n = min(n, bears-s.uses); n < 1 {
		return false
	}
	p.model(s)
	points := p.points(s, n, t)
	if len(points) == 0 {
		s.whole = true
		return false
	}
	s.surprise = false
	s.uses += len(points)
	hi, rest := s.hi, s.rest
	s.hi, s.rest, s.listed = points[0].key, points[0].pages, 1
	made := make([]*segment[P], len(points))
	for j, at := range points {
		end := point{key: hi, pages: rest}
		if j+1 < len(points) {
			end = points[j+1]
		}
		made[j] = &segment[P]{pos: at.key, hi: end.key, guess: !at.top, estimate: s.estimate}
		made[j].rest = max(0, end.pages-at.pages)
	}
	p.segments = slices.Insert(p.segments, i+1, made...)
	return true
}

// points returns up to n keys at which to cut s, in order: the end of the
// directory that its last page lies in, guesses at the end of keys if that is
// not known, and by the density of the last page.
func (p *plan[P]) points(s *segment[P], n int, t tiling) []point {
	var points []point
	add := func(at point) {
		if n > 0 && at.key > s.pos && (s.hi == "" || at.key < s.hi) {
			points = append(points, at)
			n--
		}
	}
	if s.end != s.hi {
		add(point{key: s.end, pages: s.inside})
	}
	reach := s.inside
	if s.run {
		reach = s.rest
	}
	for _, pages := range t.places(reach, n) {
		if key, ok := p.at(s, pages); ok {
			add(point{key: key, pages: pages})
		}
	}
	if s.hi == "" {
		n = 5
		for _, key := range p.alphabet.Tops(s.pos) {
			add(point{key, s.rest, true})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.key == b.key })
}

// margin is how much shorter than a whole number of pages a piece is made: its
// last page should be nearly full, but not followed by another.
const margin = 0.1

// places returns after how many pages of rest to make up to n cuts: pieces as
// long as they may be, and a few at growing distances to find out what is there.
func (t tiling) places(rest float64, n int) (pages []float64) {
	if n < 1 {
		return nil
	}
	at, piece := 0.0, t.first
	for len(pages) < n {
		at += max(1, math.Round(piece)) - margin
		if rest-at < 1 || t.ahead+at > t.end {
			break
		}
		pages = append(pages, at)
		piece = t.first + at*t.growth
	}
	if len(pages) < n || rest-at <= piece {
		return pages
	}
	few := (n + 2) / 3
	pages = pages[:n-few]
	at = t.first
	if len(pages) > 0 {
		at = pages[len(pages)-1]
	}
	growth := math.Pow(rest/at, 1/float64(few+1))
	for range few {
		at *= growth
		pages = append(pages, at)
	}
	return pages
}
