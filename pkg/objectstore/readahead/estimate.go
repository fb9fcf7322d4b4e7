package readahead

import (
	"math"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// estimate is what is expected of a segment's rest. A segment that was cut off
// another one and of which nothing is listed yet has that one's density.
type estimate struct {
	*density
	rest   float64 // pages in (pos, hi]
	end    string  // of the directory that the density is that of, or hi
	inside float64 // pages in (pos, end]

	surprise bool // a page was expected to be the last and was not: what was learned is not all
	run      bool // as much follows each longer start of hi
}

// density is how close the keys of a page lie.
type density struct {
	start       string  // first key of the chain of pages
	pages       float64 // from start to last
	first, last string
	sample      []string // some keys of it, both included
	full        float64  // its entries over those of a full page
	uses        int      // cuts that it is the reason of
}

func (d *density) known() bool { return d != nil && d.first < d.last }

// Bounds of estimates, in pages.
const (
	most = 1e9
	// beyond bounds what is expected after the end of a directory: its keys
	// tell nothing of its neighbours.
	beyond = 8
	// least is the shortest directory that is worth a cut at its end.
	least = 6
	// contradicted is an estimate by so much less than a page that a page shows to
	// be due to the alphabet, and not to a density that varies.
	contradicted = 0.3
)

// reckon estimates the rest of s after a page of it was listed.
func (p *plan[P]) reckon(s *segment[P], news bool) {
	switch {
	case s.done:
		s.rest, s.inside = 0, 0
		return
	case !s.known():
		s.rest = max(s.rest-1, 1)
		return
	}
	overdue := s.listed > 1 && s.rest < contradicted
	s.surprise = news || overdue
	s.run = isRun(s.hi, keyspace.Common(s.pos, s.hi))
	p.model(s)
	if s.surprise {
		s.rest = max(s.rest, float64(s.listed)/2) // it is not about to end
	}
	if s.hi == "" {
		s.rest = max(s.rest, beyond)
	}
	s.inside = min(max(s.inside, float64(s.listed)/2), s.rest)
}

// isRun reports whether key ends with a run of one byte, from an offset on.
func isRun(key string, from int) bool {
	return len(key) >= from+shortRun && strings.Count(key[from:], key[from:from+1]) == len(key)-from
}

// shortRun is how long a run is at least.
const shortRun = 3

// model estimates the rest of s by the density and the alphabet that its last
// page shows, and leaves that alphabet in p. The directory it looks ahead to is
// the deepest one that is worth a cut.
func (p *plan[P]) model(s *segment[P]) {
	p.spell(s)
	width := p.width(s)
	pages := func(to string) float64 {
		return math.Exp(min(p.distance(s.pos, to)-width, math.Log(most)))
	}
	s.rest = pages(s.hi)
	s.end, s.inside = s.hi, s.rest
	if s.run {
		p.ascend(s)
		return
	}
	trusted := 2 // the directory and its parent
	for i := keyspace.Common(s.first, s.last); i > len(p.prefix) && trusted > 0; i-- {
		if s.last[i-1] != '/' {
			continue
		}
		trusted--
		end := s.last[:i-1] + string('/'+1)
		switch {
		case s.hi != "" && end >= s.hi:
			return
		case end <= s.pos:
			continue
		}
		if inside := pages(end); inside >= least || trusted == 0 {
			s.end, s.inside = end, inside
			s.rest = min(s.rest, inside+beyond)
			return
		}
	}
}

// ascend estimates the rest of s by how much longer starts of hi its keys get.
func (p *plan[P]) ascend(s *segment[P]) {
	c := keyspace.Common(s.pos, s.hi)
	s.rest = max(s.rest, float64(len(s.hi)-c)*p.climb.step())
	s.end = s.hi
	if c+1 < len(s.hi) {
		s.end = s.hi[:c+1]
	}
}

// climb is how many pages follow each longer start of segments' ends, where these are runs.
type climb struct{ starts, pages float64 }

func (c *climb) step() float64 { return (c.pages + 0.25) / (c.starts + 1) }

// add learns from a page that was listed after a key of a segment, which ends with it if
// it is done.
func (c *climb) add(e estimate, after, hi string, done bool) {
	if !e.run && !isRun(hi, keyspace.Common(e.last, hi)) {
		return
	}
	c.starts += float64(keyspace.Common(e.last, hi) - keyspace.Common(after, hi))
	if done {
		c.starts++
	}
	c.pages += e.full
}

// firstDoubt is that of estimates before anything is known.
const firstDoubt = 0.3

// revise learns how wrong estimates are, from how many pages were expected before one
// was listed and with it.
func (p *plan[P]) revise(before, after float64) {
	p.doubt += (min(1, math.Abs(after-before)/max(1, before)) - p.doubt) / 32
}

// doubtOf returns how doubtful the estimate of s is: the plan's doubt, and that of a run
// at least blind, for nothing tells how much is behind its next longer start.
func (p *plan[P]) doubtOf(s *segment[P]) float64 {
	if s.run {
		return max(p.doubt, blind)
	}
	return p.doubt
}

const blind = 0.6

// directory returns the deepest one that two keys lie in, with its last /.
func directory(a, b string) string {
	return a[:strings.LastIndexByte(a[:keyspace.Common(a, b)], '/')+1]
}

// distance is that of keys of the store in the alphabet.
func (p *plan[P]) distance(lo, hi string) float64 {
	return p.alphabet.Distance(p.code.Encode(lo), p.code.Encode(hi))
}

// doubt is how much closer or farther apart, as a logarithm, keys may have been
// before the last page: if more, most of that was a gap.
const doubt = 2

// width returns the logarithm of the distance that a full page spans.
func (p *plan[P]) width(s *segment[P]) float64 {
	near := p.distance(s.first, s.last) - math.Log(s.full)
	far := p.distance(s.start, s.last) - math.Log(s.density.pages)
	if math.IsInf(far, 0) || math.IsInf(near, 0) {
		return near
	}
	return near + max(-doubt, min(doubt, far-near))/2
}

// at returns the key that lies so many pages after s.pos, if there is one.
func (p *plan[P]) at(s *segment[P], pages float64) (string, bool) {
	pos := p.code.Encode(s.pos)
	if key, ok := p.alphabet.Add(pos, p.width(s)+math.Log(pages)); ok {
		if clipped := p.pairs.Clip(key, keyspace.Common(key, p.code.Encode(s.last))); clipped > pos && !s.surprise {
			key = clipped
		}
		if key = p.code.Decode(key); s.end == "" || key < s.end {
			return key, true
		}
	}
	if !s.run {
		return "", false
	}
	c := keyspace.Common(s.pos, s.hi) + max(1, int(math.Round(pages/p.climb.step())))
	if c >= len(s.hi) {
		return "", false
	}
	return keyspace.Valid([]byte(s.hi[:c])), true
}

// spell sets p.alphabet to what the last page of s shows, at the offsets where
// its keys can still differ, less what was never seen anywhere.
func (p *plan[P]) spell(s *segment[P]) {
	start, hi := p.code.Encode(s.start), p.code.Encode(s.hi)
	p.sample = append(p.sample[:0], start)
	for _, key := range s.sample {
		p.sample = append(p.sample, p.code.Encode(key))
	}
	base := 0
	if hi != "" {
		base = keyspace.Common(start, hi)
		p.sample = append(p.sample, hi[:min(base+1, len(hi))]) // the rest of it was made up
	}
	if strings.HasPrefix(s.pos, p.prefix) {
		base = max(base, len(p.code.Encode(p.prefix)))
	}
	p.alphabet.Reset(base, p.sample...)
	p.code.Widen(&p.alphabet)
	if !s.surprise {
		p.hull.Narrow(&p.alphabet)
	}
}

// observe learns from a page of s, of which keys is a sample, and from how it
// follows the one before.
func (p *plan[P]) observe(s *segment[P], page P, keys []string) (news bool) {
	p.pageLen = max(p.pageLen, page.Len())
	size := float64(page.Bytes()) / float64(page.Len()) * float64(p.pageLen)
	if p.pageSize == 0 {
		p.pageSize = size
	}
	p.pageSize += (size - p.pageSize) / 16
	p.sample = p.sample[:0]
	if s.total > 0 {
		p.sample = append(p.sample, p.code.Encode(s.pos))
	}
	for _, key := range keys {
		p.code.Add(key)
		p.sample = append(p.sample, p.code.Encode(key))
	}
	p.pairs.Add(p.sample)
	return p.hull.Add(p.sample)
}

// samples is how many keys of a page are looked at.
const samples = 16

// sampleOf returns keys of a page, the first and the last among them.
func (p *plan[P]) sampleOf(page P) []string {
	n := page.Len()
	keys := make([]string, min(samples, n))
	text, ends := p.text[:0], [samples]int{}
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
