package metarange

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Budget is memory that comparisons share for files which they read beside one another. It
// is safe for concurrent use.
type Budget struct {
	free     *semaphore.Weighted
	reserved func(bytes int)
}

// NewBudget returns a budget of size bytes. Reserved is told how many of them a comparison
// reserves, and as a negative number how many it releases. It is called concurrently, and may be nil.
func NewBudget(size int64, reserved func(bytes int)) *Budget {
	if reserved == nil {
		reserved = func(int) {}
	}
	return &Budget{free: semaphore.NewWeighted(size), reserved: reserved}
}

// take reserves n bytes if they are free. It never waits, and a nil budget has no memory.
func (b *Budget) take(n int64) (release func(), ok bool) {
	if b == nil || !b.free.TryAcquire(n) {
		return nil, false
	}
	b.reserved(int(n))
	return func() { b.reserved(-int(n)); b.free.Release(n) }, true
}

// minGroupSize is the least that a group reserves, in bytes. It bounds how many groups of
// small ranges are compared at a time.
const minGroupSize = 512 << 10

// maxGroup is the number of ranges of a group. In most groups it is two. It is more where
// anchors have changed, and much more where a range spans a directory of the other tree,
// or where the trees have other anchors.
const maxGroup = 16

// group is ranges of two trees that overlap, if only by way of others of the group. No range
// outside has keys among theirs, so it does not matter when a group is compared.
type group struct {
	before, after []partition.RangeMetadata
	upto          string // the last key
}

// size returns the memory in bytes that comparing the group takes. One file of each tree is in
// memory at a time, so it is the size of the largest file of each. Sizes come from a metarange,
// which may claim anything.
func (g group) size() int64 {
	largest := func(ranges []partition.RangeMetadata) (n int64) {
		for _, r := range ranges {
			n = max(n, int64(min(r.EstimatedSize, 1<<40)))
		}
		return n
	}
	return max(minGroupSize, largest(g.before)+largest(g.after))
}

// count returns how the keys of the group differ.
func (g group) count(ctx context.Context, files Files) (changes Changes, err error) {
	c := comparison{before: newInput(files, walked(List(g.before)), nil), changes: &changes}
	c.before.trust = true
	defer c.before.stop()
	if err := c.before.fill(); err != nil {
		return changes, err
	}
	for _, r := range g.after {
		if err := c.take(ctx, r); err != nil {
			return changes, err
		}
	}
	return changes, c.remove(ctx, nil)
}

// grouping compares two trees, in groups where that is possible.
type grouping struct {
	comparison       // of what is in no group
	pending    group // of the last ranges; empty if they are in none
	budget     *Budget

	beside *errgroup.Group // compares groups
	ctx    context.Context // of beside
	stop   context.CancelFunc

	mu      sync.Mutex
	counted Changes // by beside
}

// newGrouping returns a grouping that continues the comparison. cancel must be called.
func newGrouping(ctx context.Context, c comparison, budget *Budget) *grouping {
	g := &grouping{comparison: c, budget: budget}
	ctx, g.stop = context.WithCancel(ctx)
	g.beside, g.ctx = errgroup.WithContext(ctx)
	return g
}

// cancel ends what runs, and waits for that.
func (g *grouping) cancel() {
	g.stop()
	_ = g.beside.Wait() // finish returns the error
}

// take compares the next range of the tree with the tree before, now or later.
func (g *grouping) take(ctx context.Context, r partition.RangeMetadata) error {
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	if len(g.pending.after) > 0 {
		if r.MinKey <= g.pending.upto {
			return g.gather(ctx, r)
		}
		if err := g.end(ctx); err != nil {
			return err
		}
	}
	in := g.before
	if in.isOpen() {
		return g.comparison.take(ctx, r)
	}
	for !in.done() && in.first.MaxKey < r.MinKey {
		g.changes.Removed += in.first.Count
		if err := in.drop(); err != nil {
			return err
		}
	}
	if in.done() || in.first.MinKey > r.MaxKey || in.first.ID == r.ID {
		return g.comparison.take(ctx, r)
	}
	return g.gather(ctx, r)
}

// gather adds a range of the tree to the pending group, and those of the tree before that
// overlap the group then.
func (g *grouping) gather(ctx context.Context, r partition.RangeMetadata) error {
	p, in := &g.pending, g.before
	p.after = append(p.after, r)
	p.upto = max(p.upto, r.MaxKey)
	for len(p.before)+len(p.after) <= maxGroup {
		if in.done() || in.first.MinKey > p.upto {
			return nil
		}
		p.before = append(p.before, in.first)
		p.upto = max(p.upto, in.first.MaxKey)
		if err := in.drop(); err != nil {
			return err
		}
	}
	return g.dissolve(ctx)
}

// dissolve compares the pending group, which has grown too large, and what follows as far as
// it overlaps, one range after another: lists of ranges would take memory, and most ranges
// beside a long one need not be read.
func (g *grouping) dissolve(ctx context.Context) error {
	p := g.pending
	g.pending = group{}
	if err := g.before.unread(p.before); err != nil {
		return err
	}
	for _, r := range p.after {
		if err := g.comparison.take(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// end has the pending group compared, if there is one: beside others if there is memory for
// that. Otherwise it compares the group itself.
func (g *grouping) end(ctx context.Context) error {
	if len(g.pending.after) == 0 {
		return nil
	}
	p := g.pending
	g.pending = group{}
	release, ok := g.budget.take(p.size())
	if !ok {
		return g.count(ctx, p)
	}
	g.beside.Go(func() error {
		defer release()
		return g.count(g.ctx, p)
	})
	return nil
}

// count adds the counts of a group. It may be called concurrently.
func (g *grouping) count(ctx context.Context, p group) error {
	counted, err := p.count(ctx, g.before.files)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counted.add(counted)
	return err
}

// finish compares what is left, and waits until everything is counted.
func (g *grouping) finish(ctx context.Context) error {
	if err := g.end(ctx); err != nil {
		return err
	}
	if err := g.remove(ctx, nil); err != nil {
		return err
	}
	if err := g.beside.Wait(); err != nil {
		return err
	}
	g.changes.add(g.counted)
	return nil
}
