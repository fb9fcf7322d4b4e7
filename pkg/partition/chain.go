package partition

import "slices"

// Chain folds the covers of one import. Covers may come in any order, more than
// once, and, where the source changed between two listings, contradict each
// other: any chain of covers from open end to open end is a right listing.
// The zero Chain is empty. It is for one goroutine.
type Chain struct {
	from   map[string][]Cover // by After; in the order of arrival
	starts []string           // the keys of from, sorted if sorted
	sorted bool
}

// Fold is what a Chain amounts to.
type Fold struct {
	Ranges  []RangeMetadata // in key order, disjoint
	Objects int64           // entries in Ranges
	Gaps    []Span          // maximal spans that no chosen cover covers, in key order
}

// Complete reports whether the covers chain from open end to open end.
func (f Fold) Complete() bool { return len(f.Gaps) == 0 }

// Add takes in one cover.
func (c *Chain) Add(cover Cover) {
	if cover.Empty() {
		return
	}
	if c.from == nil {
		c.from = make(map[string][]Cover)
	}
	known, ok := c.from[cover.After]
	if !ok {
		c.starts = append(c.starts, cover.After)
		c.sorted = false
	}
	if !slices.ContainsFunc(known, cover.same) {
		c.from[cover.After] = append(known, cover)
	}
}

// same reports whether both covers say the same.
func (c Cover) same(o Cover) bool {
	if c.Span != o.Span || (c.Range == nil) != (o.Range == nil) {
		return false
	}
	return c.Range == nil || c.Range.ID == o.Range.ID
}

// Fold chains the covers, and names the gaps between.
func (c *Chain) Fold() Fold {
	if !c.sorted {
		slices.Sort(c.starts)
		c.sorted = true
	}
	next := c.choose()
	var f Fold
	at := ""
	for {
		for cover, ok := next[at]; ok; cover, ok = next[at] {
			if cover.Range != nil {
				f.Ranges = append(f.Ranges, *cover.Range)
				f.Objects += cover.Range.Count
			}
			if cover.Upto == "" {
				return f
			}
			at = cover.Upto
		}
		i, found := slices.BinarySearch(c.starts, at)
		if found {
			i++
		}
		if i == len(c.starts) {
			f.Gaps = append(f.Gaps, Span{After: at})
			return f
		}
		f.Gaps = append(f.Gaps, Span{After: at, Upto: c.starts[i]})
		at = c.starts[i]
	}
}

// choose picks, of the covers that start at the same key, the one from which
// the chain gets furthest, and of equals the newest.
func (c *Chain) choose() map[string]Cover {
	next := make(map[string]Cover, len(c.from))
	reach := make(map[string]string, len(c.from)) // end of the chain that starts here; "" is the open end
	for _, start := range slices.Backward(c.starts) {
		var best Cover
		var far string
		for i, cover := range c.from[start] {
			end := cover.Upto
			if r, ok := reach[end]; ok && end != "" {
				end = r
			}
			if i == 0 || end == "" || (far != "" && end >= far) {
				best, far = cover, end
			}
		}
		next[start], reach[start] = best, far
	}
	return next
}
