package forecast

import (
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// A run is one character over and over, as in zzzz. Keys that begin with a run of the
// greatest character may go on with a longer one, and no distance shows how far.

// leastRun is how long a run is at least: shorter ones mean nothing. Chosen.
const leastRun = 3

// isRun reports whether key ends with a run of one byte, from an offset on.
func isRun(key string, from int) bool {
	return len(key) >= from+leastRun && strings.Count(key[from:], key[from:from+1]) == len(key)-from
}

// longestRun returns where in k the longest run of one byte lies.
func longestRun(k string) (start, end int) {
	for from, i := 0, 1; i <= len(k); i++ {
		if i == len(k) || k[i] != k[from] {
			if i-from > end-start {
				start, end = from, i
			}
			from = i
		}
	}
	return start, end
}

// climb is how many pages follow each longer start of segments' ends, where these are runs.
type climb struct{ starts, pages float64 }

// step returns that number of pages; of nothing seen, a quarter of one.
func (c *climb) step() float64 { return (c.pages + 0.25) / (c.starts + 1) }

// add learns from a page of r, whose density is that of the page already; r ends with it if
// it is done.
func (c *climb) add(r *Rest, done bool) {
	last := r.density.last
	if !r.run && !isRun(r.Hi, keyspace.Common(last, r.Hi)) {
		return
	}
	c.starts += float64(keyspace.Common(last, r.Hi) - keyspace.Common(r.Pos, r.Hi))
	if done {
		c.starts++
	}
	c.pages += r.density.full
}

// ascend estimates r, whose end is a run, by how much longer starts of it its keys get.
func (m *Pages) ascend(r *Rest) {
	c := keyspace.Common(r.Pos, r.Hi)
	r.Pages = max(r.Pages, float64(len(r.Hi)-c)*m.climb.step())
	r.end = r.Hi
	if c+1 < len(r.Hi) {
		r.end = r.Hi[:c+1]
	}
}
