package metarange

import (
	"context"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// treeCursor goes through a tree in key order. It is at a range, or at a record of the range
// once that is open. It is for one goroutine, and needs stop at the end.
type treeCursor struct {
	tree *Tree
	pull func() (partition.RangeMetadata, error, bool)
	stop func()
	from string // keys that are less are left out

	at      partition.RangeMetadata // valid unless done
	records *table.Cursor           // of the range; nil if it is not open
	key     []byte                  // a lower bound of the remaining keys, that of the record if there is one; nil if done
}

// cursor returns a cursor at the first range that does not end before from.
func (t *Tree) cursor(ctx context.Context, from string) (*treeCursor, error) {
	c := &treeCursor{tree: t, stop: func() {}}
	return c, c.restart(ctx, from)
}

func (c *treeCursor) restart(ctx context.Context, from string) error {
	c.stop()
	c.from = from
	c.pull, c.stop = iter.Pull2(c.tree.rangesFrom(ctx, from))
	return c.drop()
}

func (c *treeCursor) done() bool   { return c.key == nil }
func (c *treeCursor) isOpen() bool { return c.records != nil }

// drop goes to the next range.
func (c *treeCursor) drop() error {
	r, err, ok := c.pull()
	c.at, c.records, c.key = r, nil, nil
	if ok && err == nil {
		c.key = []byte(max(r.MinKey, c.from))
	}
	return err
}

// open goes to the first record of the range.
func (c *treeCursor) open(ctx context.Context) error {
	records, err := c.tree.open(ctx, c.at)
	if err != nil {
		return fmt.Errorf("read range %s: %w", c.at.ID, err)
	}
	c.records, err = records.Cursor(ctx, string(c.key))
	return c.settle(err)
}

// next goes to the next record, or the next range.
func (c *treeCursor) next(ctx context.Context) error { return c.settle(c.records.Next(ctx)) }

// settle takes the key of the record. err is that of getting to it.
func (c *treeCursor) settle(err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("read range %s: %w", c.at.ID, err)
	case c.records.Done():
		return c.drop()
	}
	c.key = c.records.Key
	return nil
}

// seek leaves out the keys that are less than key.
func (c *treeCursor) seek(ctx context.Context, key string) error {
	switch {
	case c.done() || string(c.key) >= key:
		return nil
	case c.at.MaxKey < key:
		return c.restart(ctx, key)
	}
	c.from, c.records, c.key = key, nil, []byte(key)
	return nil
}

// identity returns that of the entry, which tells whether two versions of a key are the same.
func (c *treeCursor) identity() ([]byte, error) {
	id, err := table.IdentityOf(c.records.Value)
	if err != nil {
		return nil, fmt.Errorf("read range %s: %q: %w", c.at.ID, c.key, err)
	}
	return id, nil
}

func (c *treeCursor) entry() (entry.Entry, error) {
	e, err := decodeEntry(c.records.Record, c.at, c.tree.base)
	if err != nil {
		return e, fmt.Errorf("read range %s: %w", c.at.ID, err)
	}
	return e, nil
}
