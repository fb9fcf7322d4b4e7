package partition

import (
	"iter"
	"slices"
	"sort"
	"strings"
)

// Chain folds the covers of one import. Covers may come in any order and more than
// once, and may contradict each other if the source changed between two listings. Any
// chain of covers from open end to open end is a right listing. The zero Chain is
// empty. A Chain is for one goroutine.
//
// A claim of the end is believed only while no cover lies behind it: a listing that
// ended early, for whatever reason, must not win over keys that another one has seen.
//
// A chain takes about as much memory as the ranges' IDs and the parts of their keys that
// they do not share with their neighbours, and more for covers that contradict.
type Chain struct {
	runs  []*run              // in key order and disjoint
	loose []run               // of one cover each that overlaps one of runs, in the order of arrival
	known map[digest]struct{} // the digests of loose

	ends map[string]string // Beyond of each claim of the end, by the boundary that the claim starts at
	top  string            // the greatest boundary at which a cover ends; no claim before it is believed
}

// digest identifies a cover.
type digest struct {
	Span
	id string // of the range, "" if there is none
}

func (c Cover) digest() digest {
	if c.Range == nil {
		return digest{Span: c.Span}
	}
	return digest{c.Span, c.Range.ID}
}

// Fold is the result of folding a Chain. It does not change when covers are added.
type Fold struct {
	Objects int64  // entries in the ranges
	Ranges  int    // number of ranges
	Gaps    []Span // spans that no chosen cover covers, in key order; see Chain.Fold
	Beyond  string // of the claim of the end of a complete fold; see Cover

	chain []run
}

// Complete reports whether the covers chain from open end to open end.
func (f Fold) Complete() bool { return len(f.Gaps) == 0 }

// All yields the ranges, which are disjoint, in key order.
func (f Fold) All() iter.Seq[RangeMetadata] {
	return func(yield func(RangeMetadata) bool) {
		next := f.Walk()
		for r, ok := next(); ok && yield(r); r, ok = next() {
		}
	}
}

// Walk returns a function that returns the ranges of All one after another, for callers that
// take ranges from several places by turns. It is for one goroutine.
func (f Fold) Walk() (next func() (r RangeMetadata, ok bool)) {
	w := walker{runs: f.chain}
	return w.next
}

// Add takes in one cover. It passes over a cover that contradicts itself: its keys are a
// gap then, and are listed again. So each run ends behind its start.
func (c *Chain) Add(cover Cover) {
	if !cover.sound() {
		return
	}
	if cover.Upto == "" && cover.Range == nil {
		c.addEnd(cover)
		return
	}
	if cover.Empty() {
		return
	}
	c.top = max(c.top, cover.Upto)
	i := c.search(cover.After) - 1 // the last run that does not start after it
	if i >= 0 && cover.After < c.runs[i].Upto {
		if known, ok := c.runs[i].startingAt(cover.After); !ok || known.digest() != cover.digest() {
			c.addLoose(cover)
		}
		return
	}
	if i+1 < len(c.runs) && cover.Upto > c.runs[i+1].After {
		c.addLoose(cover)
		return
	}
	if i >= 0 && c.runs[i].Upto == cover.After {
		c.runs[i].append(cover)
		return
	}
	c.runs = slices.Insert(c.runs, i+1, newRun(cover))
}

// addEnd takes in a claim of the end. If there are several at one boundary, the claim of a
// partition that owns all keys up to the open end counts.
func (c *Chain) addEnd(cover Cover) {
	if c.ends == nil {
		c.ends = make(map[string]string)
	}
	if beyond, ok := c.ends[cover.After]; !ok || beyond != "" {
		c.ends[cover.After] = cover.Beyond
	}
}

// search returns the index of the first run that starts after key.
func (c *Chain) search(key string) int {
	return sort.Search(len(c.runs), func(i int) bool { return c.runs[i].After > key })
}

// Next returns the cover that starts at a boundary, if there is one. Of covers that contradict
// each other it returns the first one.
func (c *Chain) Next(after string) (Cover, bool) {
	i := c.search(after) - 1
	if i < 0 || after >= c.runs[i].Upto {
		return Cover{}, false
	}
	return c.runs[i].startingAt(after)
}

// Overlaps reports whether a cover may hold a key of the span. Covers that contradict others do
// not count.
func (c *Chain) Overlaps(s Span) bool {
	i := c.search(s.After)
	return i > 0 && c.runs[i-1].Overlaps(s) || i < len(c.runs) && c.runs[i].Overlaps(s)
}

func (c *Chain) addLoose(cover Cover) {
	if _, ok := c.known[cover.digest()]; ok {
		return
	}
	if c.known == nil {
		c.known = make(map[digest]struct{})
	}
	c.known[cover.digest()] = struct{}{}
	c.loose = append(c.loose, *newRun(cover))
}

// Bytes is about how much memory the chain takes.
func (c *Chain) Bytes() int {
	n := len(c.loose)*500 + len(c.ends)*400
	for _, r := range c.runs {
		n += r.bytes()
	}
	return n
}

// Fold chains the covers, and names the gaps between them. Gaps are maximal, with one
// exception: a gap that begins with a claim of the end that is not believed ends with the
// last key of all covers, which refutes the claim.
func (c *Chain) Fold() Fold {
	links := c.links()
	next := choose(links)
	var f Fold
	at := ""
	for {
		for l, ok := next[at]; ok; l, ok = next[at] {
			f.chain = append(f.chain, *l)
			f.Objects += l.objects
			f.Ranges += l.ranges
			at = l.Upto
		}
		i := sort.Search(len(links), func(i int) bool { return links[i].After > at })
		if i == len(links) {
			beyond, ends := c.ends[at]
			if ends && at < c.top {
				// A worker that lists that gap asks for the key at its end, which is gone or refutes the claim.
				f.Gaps = append(f.Gaps, Span{After: at, Upto: c.top})
				at = c.top
				continue
			}
			if !ends {
				f.Gaps = append(f.Gaps, Span{After: at})
			} else if f.Complete() {
				f.Beyond = beyond
			}
			return f
		}
		f.Gaps = append(f.Gaps, Span{After: at, Upto: links[i].After})
		at = links[i].After
	}
}

// links returns what a chain can be made of, ordered by where it starts. Runs are split
// where a chain could leave them for a loose cover, or go on in them after one.
func (c *Chain) links() []run {
	for _, cover := range c.loose {
		c.splitAt(cover.After)
		c.splitAt(cover.Upto)
	}
	links := make([]run, 0, len(c.runs)+len(c.loose))
	for _, r := range c.runs {
		links = append(links, *r)
	}
	links = append(links, c.loose...)
	slices.SortStableFunc(links, func(a, b run) int { return strings.Compare(a.After, b.After) })
	return links
}

// splitAt splits the run that key lies within, if there is one, at its first boundary
// from key on.
func (c *Chain) splitAt(key string) {
	i := c.search(key) - 1
	if i < 0 || c.runs[i].After == key || c.runs[i].Upto <= key {
		return
	}
	if rest := c.runs[i].split(key); rest != nil {
		c.runs = slices.Insert(c.runs, i+1, rest)
	}
}

// choose picks among the links that start at the same key the one from which the
// chain gets furthest, and the last of several such.
func choose(links []run) map[string]*run {
	next := make(map[string]*run, len(links))
	reach := make(map[string]string, len(links)) // end of the chain that starts here
	for i := len(links) - 1; i >= 0; {
		start := links[i].After
		var far string
		for ; i >= 0 && links[i].After == start; i-- {
			end := links[i].Upto
			if r, ok := reach[end]; ok {
				end = r
			}
			if next[start] == nil || end > far {
				next[start], far = &links[i], end
			}
		}
		reach[start] = far
	}
	return next
}
