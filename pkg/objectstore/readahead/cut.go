package readahead

import (
	"math"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// How many LISTs cuts may waste; see allowance. Most listings stay far below:
// it keeps one on which all guesses fail from costing much more than it has to.
const (
	wasteEarly = 2    // for each page, at the start of a listing
	wasteFirst = 60   // and then so many,
	wasteShare = 0.25 // and a share of the pages
)

// shortPiece is the shortest piece, in pages, that a segment is cut into while
// others could be listed on.
const shortPiece = 8

// cut cuts the segment where that gains most, so that one more LIST can be in
// flight, and reports whether it did. next is the segment that would be listed
// on otherwise, or nil if all that may be are in flight.
//
// In a steady listing pages arrive in key order, limit of them in a round trip.
// A segment is late by as much as its rest takes longer than that. It may be
// late by as long as there is room for what arrives ahead of it meanwhile.
func (p *plan[P]) cut(next *segment[P], limit int) bool {
	allowed := p.allowance()
	if p.useful == 0 || allowed < 1 || p.free() < 1 {
		return false
	}
	slack, shortest := p.free()/float64(limit), float64(least)
	if total := p.unlisted(); next == nil && total < p.window() {
		slack, shortest = min(slack, total/float64(limit)/4), leastAtEnd // nothing else is left to list
	}
	victim, worst, before := -1, 0.0, 0.0
	ahead, unlisted, window := 0.0, 0.0, p.window()
	for i, s := range p.segments {
		if s == next || ahead > window {
			break
		}
		rest := min(s.rest, window-ahead)
		late := rest - (unlisted+rest)/float64(limit) - slack
		if late > worst && s.rest >= shortest && p.mayCut(s) {
			victim, worst, before = i, late, unlisted
		}
		unlisted += s.rest
		ahead += float64(len(s.pages)) + s.rest
	}
	if victim < 0 {
		return false
	}
	n := min(allowed, limit-p.inFlight)
	if next != nil {
		pieces := p.segments[victim].rest / max(shortPiece, slack+before/float64(limit))
		n = min(allowed, max(1, int(pieces)))
	}
	return p.cutSegment(victim, n, limit)
}

func (p *plan[P]) mayCut(s *segment[P]) bool {
	return !s.done && s.listed > 0 && s.first < s.pos && (!p.isPast(s) || p.passed > 0)
}

func (p *plan[P]) unlisted() (pages float64) {
	for _, s := range p.segments {
		pages += s.rest
	}
	return pages
}

// allowance is how many more cuts may be made: each will waste half a LIST on
// average, more if nothing lies behind it, and together they must stay a small
// share of what was listed. At the start they must not outgrow it.
func (p *plan[P]) allowance() int {
	wasted := float64(p.calls) - p.useful
	open := 0
	for _, s := range p.segments {
		if !s.done {
			open++
		}
	}
	limit := min(wasteEarly*p.useful, wasteFirst+wasteShare*p.useful)
	return int(2*(limit-wasted)) - open
}

// point is where to cut a segment.
type point struct {
	key   string
	pages float64 // estimated, from pos to key
	open  bool    // a guess at where keys end
}

// cutSegment cuts segment i at up to n points.
func (p *plan[P]) cutSegment(i, n, limit int) bool {
	s := p.segments[i]
	p.model(s, true)
	points := p.points(s, n, limit)
	if len(points) == 0 {
		p.model(s, false)
		points = p.points(s, n, limit)
	}
	if len(points) == 0 {
		s.rest = min(s.rest, leastAtEnd-1) // not again before its next page
		return false
	}
	hi, open, rest := s.hi, s.open, s.rest
	s.hi, s.open, s.rest, s.listed = points[0].key, points[0].open, points[0].pages, 1
	made := make([]*segment[P], len(points))
	for j, at := range points {
		end := point{hi, rest, open}
		if j+1 < len(points) {
			end = points[j+1]
		}
		made[j] = &segment[P]{pos: at.key, hi: end.key, open: end.open}
		made[j].rest = max(0, end.pages-at.pages)
	}
	p.segments = slices.Insert(p.segments, i+1, made...)
	return true
}

// points returns up to n keys at which to cut s, in order: the end of the
// directory that its last page lies in, guesses at the end of keys if that is
// not known, and by the density of the last page.
func (p *plan[P]) points(s *segment[P], n, limit int) []point {
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
	if s.open {
		for _, key := range p.alphabet.Tops(s.pos) {
			add(point{key, s.rest, true})
		}
	}
	if c := keyspace.Common(s.pos, s.hi) + 1; s.outlived && c < len(s.hi) {
		add(point{key: keyspace.Valid([]byte(s.hi[:c])), pages: s.rest}) // there may be much just before hi
	}
	// One density that was seen does not bear many cuts.
	n = min(n, max(1, s.listed))
	width := p.alphabet.Distance(s.first, s.pos) - math.Log(s.full)
	for _, pages := range places(s.inside, p.length(limit), n, s.listed) {
		if key, ok := p.alphabet.Add(s.pos, width+math.Log(pages)); ok && (s.end == "" || key < s.end) {
			add(point{key: key, pages: pages})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.key == b.key })
}

// length is how long segments should be: as long as the budget lets limit of
// them be listed side by side, some being ahead of others.
func (p *plan[P]) length(limit int) float64 {
	return max(4, 1.2*p.window()/float64(limit))
}

// places returns after how many pages of rest to make n cuts. A rest of which
// little was listed is cut evenly and, in case that its density changes, near
// both ends at growing distances.
func places(rest, length float64, n, listed int) (pages []float64) {
	if rest <= 2*length || listed >= 3 && rest <= 8*length {
		n = max(1, min(n, max(1, int(rest/length)), int(rest/2)-1))
		for j := range n {
			pages = append(pages, rest*float64(j+1)/float64(n+1))
		}
		return pages
	}
	even, low := (n+2)/3, (n+1)/3
	for j := range even {
		pages = append(pages, rest*float64(j+1)/float64(even+1))
	}
	growth, at := math.Pow(rest/length, 1/float64(low+1)), length
	for range low {
		pages = append(pages, at)
		at *= growth
	}
	at = rest / float64(even+1)
	for range n - even - low {
		at /= 8
		pages = append(pages, rest-at)
	}
	return pages
}
