package readahead

import (
	"math"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// late reports whether a segment should be cut, if the consumer needs its end
// after so many LISTs.
func (p *plan[P]) late(s *segment[P], patience float64) bool {
	return p.mayCut(s) && s.rest >= patience+1
}

func (p *plan[P]) mayCut(s *segment[P]) bool {
	return (!s.whole || p.doubt < sound) && !s.done && s.known() && (!p.isPast(s) || p.passed > 0)
}

// sound is the doubt below which what nothing was listed of is cut like what was.
const sound = 0.2

// How many LISTs cuts may waste, most of them half of one at the end of a segment:
// beyond thrifty ones the plan gets more patient, up to stingy times as much until
// it has settled, and beyond wasteful ones it cuts off only a quarter of what it would.
const (
	thriftyFirst, thriftyShare   = 14, 0.02 // and a share of the pages listed
	wastefulFirst, wastefulShare = 100, 0.2
	stingy                       = 4
	// settled is stingy once a few windows are listed. Pieces that take longer than
	// the consumer needs to get to them only keep it waiting from then on, while
	// the budget is used up by what lies behind them.
	settled, settledAfter = 1.2, 2
)

func (p *plan[P]) wasted() float64 { return float64(p.calls) - p.useful }

// thrift is by how much more patient to be for what was wasted.
func (p *plan[P]) thrift() float64 {
	bound := float64(stingy)
	if p.useful > settledAfter*p.window() {
		bound = settled
	}
	return min(bound, max(1, p.wasted()/(thriftyFirst+thriftyShare*p.useful)))
}

// allowance is how many segments may be cut off now, if there are so many nearer
// ones that nothing is listed of yet. As long as most of them hold keys there may be
// more at once; as soon as they do not, few.
func (p *plan[P]) allowance(guesses int) int {
	if p.wasted() > wastefulFirst+wastefulShare*p.useful {
		return max(1, int(p.trust/4)) - guesses
	}
	return int(p.trust) - guesses
}

// How many segments may be cut off at first, and always, of which nothing is listed.
const firstTrust, leastTrust = 10, 8

// guessed learns whether there is anything in a segment that was cut off, from its
// first LIST.
func (p *plan[P]) guessed(right bool) {
	if right {
		p.trust++
	} else {
		p.trust = max(leastTrust, p.trust*0.8)
	}
}

// bears is how many cuts one density may be the reason of.
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
	growth float64 // of pieces, for each page before them
	end    float64 // pages, after which no more need be cut
}

// cutSegment cuts segment i at up to n points.
func (p *plan[P]) cutSegment(i, n int, t tiling) {
	s := p.segments[i]
	if n = min(n, bears-s.uses); n < 1 {
		return
	}
	p.model(s)
	points := p.points(s, n, t)
	if len(points) == 0 {
		s.whole = true
		return
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
		made[j] = &segment[P]{pos: at.key, hi: end.key, guess: !at.top, whole: true, estimate: s.estimate}
		made[j].rest = max(0, end.pages-at.pages)
	}
	p.segments = slices.Insert(p.segments, i+1, made...)
}

// shortest is how many pages there are after the end of a directory if it is worth a
// cut, siblings how many directories at growing distances after it are guessed at
// if the end of keys is not known.
const shortest, siblings = 0.5, 8

// points returns up to n keys at which to cut s, in order: the end of the
// directory that its density is that of, and pieces of that; and guesses at where its
// siblings are and at the end of keys if that is not known.
func (p *plan[P]) points(s *segment[P], n int, t tiling) []point {
	var points []point
	add := func(at point) {
		if at.key > s.pos && (s.hi == "" || at.key < s.hi) {
			points = append(points, at)
		}
	}
	further := 0
	if s.end != s.hi && s.rest-s.inside >= shortest {
		add(point{key: s.end, pages: s.inside})
		if s.hi == "" {
			further = min(siblings, (n-1)/2)
		}
	}
	known := s.inside
	if s.run {
		known = s.rest
	}
	for _, pages := range t.places(known, n-len(points)-further) {
		if key, ok := p.at(s, pages); ok {
			add(point{key: key, pages: pages})
		}
	}
	for pages := 4 * s.inside; further > 0; further, pages = further-1, 2*pages {
		if key, ok := p.sibling(s, pages); ok {
			add(point{key: key, pages: min(pages, s.rest)})
		}
	}
	if s.hi == "" {
		for _, key := range p.alphabet.Tops(p.code.Encode(s.pos)) {
			add(point{key: p.code.Decode(key), pages: s.rest, top: true})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.key == b.key })
}

// sibling returns where a directory after that of s's density begins if so many
// pages lie before it.
func (p *plan[P]) sibling(s *segment[P], pages float64) (string, bool) {
	key, ok := p.alphabet.Add(p.code.Encode(s.pos), p.width(s)+math.Log(pages))
	if !ok {
		return "", false
	}
	key = p.code.Decode(key)
	at := keyspace.Common(key, s.pos)
	if i := strings.IndexByte(key[at:], '/'); i > 0 {
		key = key[:at+i]
	}
	return key, key > s.end
}

// margin is how much shorter than a whole number of pages a piece is made: its
// last page should be nearly full, but not followed by another.
const margin = 0.1

// places returns after how many pages of rest to make up to n cuts: pieces as
// long as they may be, the last up to half as long again, and a few at growing
// distances to find out what is there.
func (t tiling) places(rest float64, n int) (pages []float64) {
	if n < 1 {
		return nil
	}
	at, piece := 0.0, t.first
	for len(pages) < n {
		at += max(1, math.Round(piece)) - margin
		if rest-at < max(1, piece/2) || at > t.end {
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
		pages = append(pages, max(1, math.Round(at))-margin)
	}
	return pages
}
