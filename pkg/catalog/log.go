package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// LogQuery selects a page of a ref's history. Only Ref and Amount are required.
type LogQuery struct {
	Ref         string
	After       string    // a ref: only what comes after its commit; or LogPage.Next
	Amount      int       // the most commits of the page, at least 1
	FirstParent bool      // leave out what is reached by other parents only
	StopAt      string    // a ref: end with its commit
	Since       time.Time // leave out commits made before, and what is reached by them only

	// Keep decides whether a commit is listed; nil lists all. An error ends the listing.
	Keep func(context.Context, Commit) (bool, error)
	// Enough is asked after each commit, listed or not, and ends the page; nil never does.
	Enough func() bool
}

// LogPage is a part of a history.
type LogPage struct {
	Commits []Commit
	Next    string // the After of the next page; "" if there is none. A page may be empty and have a next one
}

// Log returns a page of the history of a ref: its commit, and the commits that are reached
// from it by parents. Each is listed once, before its ancestors; of several commits that may
// come next, the one of the highest generation does, and of these the newest. The page ends
// with the commit by which messages and metadata reach limits.LogPage, and after
// limits.LogWalk commits of which not all are listed. Faults are Invalid (amount, ref) and
// NotFound.
func (c *Catalog) Log(ctx context.Context, repository string, q LogQuery) (LogPage, error) {
	if q.Amount < 1 {
		return LogPage{}, fault.BadField("amount", "%d is below 1", q.Amount)
	}
	h, err := c.open(ctx, repository)
	if err != nil {
		return LogPage{}, err
	}
	w := walk{history: h, firstParent: q.FirstParent, since: q.Since}
	if err := w.begin(ctx, q.Ref, q.After); err != nil {
		return LogPage{}, err
	}
	stopAt := ""
	if q.StopAt != "" {
		last, err := h.resolve(ctx, q.StopAt)
		if err != nil {
			return LogPage{}, err
		}
		stopAt = last.ID
	}
	return w.page(ctx, q, stopAt)
}

// walk goes through a history. The commits that wait are those whose turn may be next. A
// parent has a lower generation than its children, so no commit waits again that was
// passed: the commits that wait are all that a walk has to remember.
type walk struct {
	history
	firstParent bool
	since       time.Time
	waiting     []Commit // none twice, in the reverse order of their turns
}

// maxWaiting is the most commits that wait at the end of a page. The position of the next
// page, which is a parameter of a query, holds their IDs.
const maxWaiting = limits.Key / 65

// separator stands between the IDs of a position. No name of a branch or a tag contains it.
const separator = ":"

// begin goes to the commit of ref, or to the position of a page.
func (w *walk) begin(ctx context.Context, ref, after string) error {
	first, err := w.resolve(ctx, ref)
	if err != nil {
		return err
	}
	if after == "" {
		w.wait(first)
		return nil
	}
	passed, others, _ := strings.Cut(after, separator)
	last, err := w.resolve(ctx, passed)
	if err != nil {
		return err
	}
	for id := range strings.SplitSeq(others, separator) {
		if id == "" {
			continue
		}
		if err := w.waitFor(ctx, id); err != nil {
			return err
		}
	}
	return w.pass(ctx, last)
}

// wait adds a commit to those that wait, unless it does already or is too old.
func (w *walk) wait(c Commit) {
	i, found := slices.BinarySearchFunc(w.waiting, c, compareTurns)
	if !found && !c.Created.Before(w.since) {
		w.waiting = slices.Insert(w.waiting, i, c)
	}
}

// take returns the commit whose turn it is, which waits no longer.
func (w *walk) take() Commit {
	last := len(w.waiting) - 1
	c := w.waiting[last]
	w.waiting = w.waiting[:last]
	return c
}

// compareTurns orders commits: the greater one comes first in a log.
func compareTurns(a, b Commit) int {
	return cmp.Or(cmp.Compare(a.Generation, b.Generation), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

func (w *walk) waitFor(ctx context.Context, id string) error {
	c, err := w.commit(ctx, id)
	if err == nil {
		w.wait(c)
	}
	return err
}

// pass makes the parents of a commit wait.
func (w *walk) pass(ctx context.Context, c Commit) error {
	parents := c.Parents
	if w.firstParent {
		parents = parents[:min(1, len(parents))]
	}
	for _, id := range parents {
		if err := w.waitFor(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// position returns the position behind a commit that was passed.
func (w *walk) position(passed Commit) (string, error) {
	ids := []string{passed.ID}
	for _, c := range w.waiting {
		if !slices.Contains(passed.Parents, c.ID) {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) > maxWaiting {
		return "", fault.BadField("first_parent", "more than %d lines of history are open behind commit %s: list first parents only", maxWaiting, passed.ID)
	}
	return strings.Join(ids, separator), nil
}

// page lists the next commits.
func (w *walk) page(ctx context.Context, q LogQuery, stopAt string) (p LogPage, err error) {
	size := 0
	for passed := 1; len(w.waiting) > 0; passed++ {
		c := w.take()
		keep := true
		if q.Keep != nil {
			if keep, err = q.Keep(ctx, c); err != nil {
				return LogPage{}, err
			}
		}
		if keep {
			p.Commits = append(p.Commits, c)
			size += c.textSize()
		}
		if c.ID == stopAt {
			return p, nil
		}
		if err := w.pass(ctx, c); err != nil {
			return LogPage{}, err
		}
		full := len(p.Commits) == q.Amount || size >= limits.LogPage || passed >= limits.LogWalk
		if len(w.waiting) > 0 && (full || q.Enough != nil && q.Enough()) {
			p.Next, err = w.position(c)
			return p, err
		}
	}
	return p, nil
}
