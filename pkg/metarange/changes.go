package metarange

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Changes counts how the keys of one tree differ from those of the tree before it. Added,
// Replaced and Unchanged together are the keys of the tree; Removed, Replaced and
// Unchanged together are those of the tree before.
type Changes struct {
	Added     int64 `json:"added"`     // only in the tree
	Replaced  int64 `json:"replaced"`  // in both, with different records
	Removed   int64 `json:"removed"`   // only in the tree before
	Unchanged int64 `json:"unchanged"` // in both, with the same record
}

// Compare yields the ranges of after unchanged, and meanwhile counts in changes how its
// keys differ from those of before. The count is complete once the sequence has ended
// without an error.
//
// A range that both trees have is not read, nor is a range whose keys lie between those of
// the other tree's ranges: the work is proportional to the ranges that differ. Ranges that
// overlap are compared beside one another while the budget has memory for their files.
// Without a budget, they are compared one after another. Beyond the budget, at most one file
// of each tree is in memory. When the sequence ends, nothing of it runs any more.
//
// Files of before are read without verifying their IDs. Keys in their damaged or missing
// parts count as removed.
func Compare(ctx context.Context, files Files, before, after Ranges, budget *Budget, changes *Changes) Ranges {
	return compare(ctx, files, walked(before), after, budget, changes)
}

// compare is Compare with another form of the tree before.
func compare(ctx context.Context, files Files, before walk, after Ranges, budget *Budget, changes *Changes) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		c := comparison{before: newInput(files, before, nil), changes: changes}
		c.before.trust = true
		defer c.before.stop()
		if err := c.before.fill(); err != nil {
			yield(partition.RangeMetadata{}, fmt.Errorf("compare with the tree before: %w", err))
			return
		}
		g := newGrouping(ctx, c, budget)
		defer g.cancel()
		for r, err := range after {
			if err == nil {
				err = g.take(ctx, r)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if err := g.finish(ctx); err != nil {
			yield(partition.RangeMetadata{}, err)
		}
	}
}

// add adds the counts of other keys.
func (c *Changes) add(o Changes) {
	c.Added += o.Added
	c.Replaced += o.Replaced
	c.Removed += o.Removed
	c.Unchanged += o.Unchanged
}

// comparison compares two trees, or the ranges of a group, one after another.
type comparison struct {
	before  *input
	left    int64 // keys of before's open range from the current one on
	changes *Changes
}

// take compares the next range of the tree with the tree before, up to the range's end.
func (c *comparison) take(ctx context.Context, r partition.RangeMetadata) error {
	if err := c.remove(ctx, []byte(r.MinKey)); err != nil {
		return err
	}
	in := c.before
	switch {
	case in.done() || string(in.key) > r.MaxKey:
		c.changes.Added += r.Count
		return nil
	case !in.isOpen() && in.first.ID == r.ID:
		c.changes.Unchanged += r.Count
		return in.drop()
	}
	return c.read(ctx, r)
}

// read compares a range record by record.
func (c *comparison) read(ctx context.Context, r partition.RangeMetadata) error {
	records, err := loadRange(ctx, c.before.files, r, false)
	if err != nil {
		return err
	}
	for rec, err := range records.From(ctx, "") {
		if err == nil {
			err = c.record(ctx, rec.Key, rec.Value)
		}
		if err != nil {
			return fmt.Errorf("read range %s: %w", r.ID, err)
		}
	}
	return nil
}

// record compares a record of the tree with the tree before, up to the record's key.
func (c *comparison) record(ctx context.Context, key, value []byte) error {
	in := c.before
	for {
		if err := c.remove(ctx, key); err != nil {
			return err
		}
		if in.done() || !bytes.Equal(in.key, key) {
			c.changes.Added++
			return nil
		}
		if in.isOpen() {
			break
		}
		if err := c.open(ctx); err != nil {
			return err
		}
	}
	if bytes.Equal(in.records.Value, value) {
		c.changes.Unchanged++
	} else {
		c.changes.Replaced++
	}
	return c.advance(ctx)
}

// remove counts the remaining keys of the tree before that lie before key as removed, or all
// of them if key is nil.
func (c *comparison) remove(ctx context.Context, key []byte) (err error) {
	for in := c.before; err == nil && !in.done() && (key == nil || bytes.Compare(in.key, key) < 0); {
		switch {
		case in.isOpen():
			c.changes.Removed++
			err = c.advance(ctx)
		case key == nil || in.first.MaxKey < string(key):
			c.changes.Removed += in.first.Count
			err = in.drop()
		default:
			err = c.open(ctx)
		}
	}
	return err
}

// open opens the next range of the tree before.
func (c *comparison) open(ctx context.Context) error {
	c.left = c.before.first.Count
	return c.passDamage(c.before.open(ctx))
}

// advance goes to the next key of the tree before, within its open range.
func (c *comparison) advance(ctx context.Context) error {
	c.left--
	return c.passDamage(c.before.advance(ctx))
}

// passDamage handles an error of the current range of the tree before. A range that is
// damaged or missing must not keep an import from replacing it: its remaining keys count
// as removed.
func (c *comparison) passDamage(err error) error {
	if !errors.Is(err, table.ErrCorrupt) && !errors.Is(err, objectstore.ErrNotFound) {
		return err
	}
	c.changes.Removed += max(0, c.left)
	return c.before.drop()
}
