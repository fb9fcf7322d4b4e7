package readahead

import (
	"math"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// estimate is what is expected of a segment's rest, from its last page.
type estimate struct {
	first    string   // first key of the last page; the segment's pos is its last
	sample   []string // some keys of it
	full     float64  // its entries over those of a full page
	rest     float64  // pages in (pos, hi]
	end      string   // of the directory that the page lies in, or hi
	inside   float64  // pages in (pos, end]
	born     float64  // rest after the first page
	outlived bool     // there is more than was expected
}

// Bounds of estimates, in pages.
const (
	most = 1e9
	// beyond bounds what is expected after the end of a directory: its keys
	// tell nothing of its neighbours.
	beyond = 8
	// least is the shortest rest that is worth a cut, and leastAtEnd where LISTs
	// have nothing else to do.
	least, leastAtEnd = 6, 3
)

// reckon estimates the rest of s: by the density of its last page, but never
// less than half of what was listed already, for a segment that outlived its
// estimate is not about to end.
func (p *plan[P]) reckon(s *segment[P]) {
	if s.done {
		s.rest, s.inside = 0, 0
		return
	}
	if s.first >= s.pos {
		s.rest = max(s.rest-1, 1)
		return
	}
	lindy := float64(s.listed) / 2
	p.model(s, true)
	if s.listed == 1 {
		s.born = s.rest
	}
	if s.outlived = s.rest < lindy && float64(s.listed) > 2+2*s.born; s.outlived {
		lindy *= 2
		p.model(s, false)
		s.rest = min(s.rest, 10*lindy)
		s.inside = min(s.inside, s.rest)
	}
	s.rest = max(s.rest, lindy)
	if s.open {
		s.rest = max(s.rest, beyond)
	}
	s.inside = max(s.inside, min(lindy, s.rest))
}

// model estimates the rest of s by the alphabet that its last page shows, and
// leaves that alphabet in p. The directory it looks ahead to is the deepest one
// that is worth a cut. learned says to leave out what was never seen anywhere.
func (p *plan[P]) model(s *segment[P], learned bool) {
	p.spell(s, learned)
	width := p.alphabet.Distance(s.first, s.pos) - math.Log(s.full)
	pages := func(to string) float64 {
		return math.Exp(min(p.alphabet.Distance(s.pos, to)-width, math.Log(most)))
	}
	s.rest = pages(s.hi)
	s.end, s.inside = s.hi, s.rest
	trusted := 2 // the directory and its parent
	for i := keyspace.Common(s.first, s.pos); i > len(p.prefix) && trusted > 0; i-- {
		if s.pos[i-1] != '/' {
			continue
		}
		trusted--
		end := s.pos[:i-1] + string('/'+1)
		if s.hi != "" && end >= s.hi {
			return
		}
		if inside := pages(end); inside >= least || trusted == 0 {
			s.end, s.inside = end, inside
			s.rest = min(s.rest, inside+beyond)
			return
		}
	}
}

// spell sets p.alphabet to what the last page of s shows, at the offsets where
// its keys can still differ.
func (p *plan[P]) spell(s *segment[P], learned bool) {
	p.sample = append(append(p.sample[:0], s.sample...), s.first, s.pos)
	base := 0
	if s.hi != "" {
		p.sample = append(p.sample, s.hi)
		base = keyspace.Common(s.pos, s.hi)
	}
	if strings.HasPrefix(s.pos, p.prefix) {
		base = max(base, len(p.prefix))
	}
	p.alphabet.Reset(base, p.sample...)
	if learned {
		p.hull.Narrow(&p.alphabet)
	}
}

// observe learns from a page of s, and from how it follows the one before.
func (p *plan[P]) observe(s *segment[P], page P) {
	p.pageLen = max(p.pageLen, page.Len())
	size := float64(page.Bytes()) / float64(page.Len()) * float64(p.pageLen)
	if p.pageSize == 0 {
		p.pageSize = size
	}
	p.pageSize += (size - p.pageSize) / 16
	p.sample = p.sample[:0]
	if s.first != "" {
		p.sample = append(p.sample, s.pos)
	}
	p.sample = sampleOf(p.sample, page)
	p.hull.Add(p.sample)
}

// samples is how many keys of a page are looked at.
const samples = 16

func sampleOf[P Page[P]](dst []string, page P) []string {
	n := page.Len()
	for i := range min(samples, n) {
		dst = append(dst, page.Key(i*(n-1)/max(1, min(samples, n)-1)))
	}
	return dst
}

func clone(s string) string { return strings.Clone(s) }
