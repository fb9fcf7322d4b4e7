package catalog

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// side says from which commits a commit is reached.
type side uint8

const (
	fromLeft side = 1 << iota
	fromRight
)

// MergeBase returns the common ancestor of two commits that has the highest generation: one of
// them if it is an ancestor of the other. So it is an ancestor of no other common ancestor.
// The time that it takes grows with the number of commits of generations above. All commits
// of a repository have its first one in common; if it was given others, the error is a
// Conflict.
func MergeBase(ctx context.Context, c *Catalog, repository string, left, right Commit) (Commit, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	w := walk{history: h}
	w.wait(left)
	w.wait(right)
	from := map[string]side{left.ID: fromLeft} // of the commits that wait
	from[right.ID] |= fromRight
	for len(w.waiting) > 0 {
		next := w.take()
		reached := from[next.ID]
		if reached == fromLeft|fromRight {
			return next, nil
		}
		delete(from, next.ID)
		for _, parent := range next.Parents {
			from[parent] |= reached
		}
		if err := w.pass(ctx, next); err != nil {
			return Commit{}, err
		}
	}
	return Commit{}, fault.Conflicting("no merge base of commits %s and %s", left.ID, right.ID)
}
