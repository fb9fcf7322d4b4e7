package metarange

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// Change is how a key, or the keys of a common prefix, differ.
type Change int

// Changes of a key.
const (
	KeyAdded Change = iota + 1
	KeyRemoved
	KeyChanged    // to an object of another size or ETag
	KeyConflict   // both sides have changed it since their base, in different ways
	PrefixChanged // at least one key of a common prefix has one of these changes
)

// Difference is a key, or a common prefix, at which two trees differ.
type Difference struct {
	Item   // with the entry of the right tree, or that of the left one if it is gone
	Change Change
	Gone   bool // the right tree has no such key
}

// Diff compares two trees. Two entries of a key are the same if they have the same identity:
// as in lakeFS, a changed time or address alone is no difference.
type Diff struct {
	Left, Right *Tree
	Base        *Tree // nil, or the tree from which both come: what only Left has changed is no difference
}

// DiffQuery selects a page of differences. Only Amount is required.
type DiffQuery struct {
	Prefix, After, Delimiter string // as those of Tree.List
	Amount                   int    // the most differences of the page, at least 1
	// Enough is asked after each key or range, and ends the page; nil never does.
	Enough func() bool
}

// List returns differences in key order, and the After of the next page, which is "" if there
// is none. A page that Enough has ended may be empty and have a next one. Ranges that both
// sides have, or that Right has from Base, are not read. Neither are the keys of a common
// prefix behind its first difference.
func (d Diff) List(ctx context.Context, q DiffQuery) (page []Difference, next string, err error) {
	if q.Amount < 1 {
		return nil, "", fmt.Errorf("list %d differences: want at least 1", q.Amount)
	}
	from, ok := start(q.Prefix, q.After, q.Delimiter)
	if !ok {
		return nil, "", nil
	}
	c, err := d.begin(ctx, from)
	defer c.stop()
	for err == nil && c.within(q.Prefix) {
		if c.passed != "" && q.Enough != nil && q.Enough() {
			return page, c.passed, nil
		}
		var found *Difference
		if found, err = c.step(ctx); found == nil {
			continue
		}
		if len(page) == q.Amount {
			return page, page[len(page)-1].name(), nil
		}
		if dir := commonPrefix(found.Entry.Key, q.Prefix, q.Delimiter); dir != "" {
			found = &Difference{Item: Item{CommonPrefix: dir}, Change: PrefixChanged}
			err = c.skip(ctx, dir)
		}
		page = append(page, *found)
	}
	return page, "", err
}

// Touches reports whether the trees differ at the key, or, unless exact, at a key that starts
// with it.
func (d Diff) Touches(ctx context.Context, key string, exact bool) (bool, error) {
	c, err := d.begin(ctx, key)
	defer c.stop()
	for err == nil && c.within(key) && (!exact || string(c.key()) == key) {
		var found *Difference
		if found, err = c.step(ctx); found != nil {
			return true, nil
		}
	}
	return false, err
}

func (it Item) name() string { return it.CommonPrefix + it.Entry.Key }

// differ is the state of one comparison.
type differ struct {
	left, right *treeCursor
	base        *treeCursor // nil if there is none. It lags behind, and is only looked at
	passed      string      // the last key that was compared, or the common prefix that was skipped
}

// begin returns a comparison of the keys that are not less than from. stop must be called even
// after an error.
func (d Diff) begin(ctx context.Context, from string) (c *differ, err error) {
	c = &differ{}
	if c.left, err = d.Left.cursor(ctx, from); err == nil {
		c.right, err = d.Right.cursor(ctx, from)
	}
	if err == nil && d.Base != nil {
		c.base, err = d.Base.cursor(ctx, from)
	}
	return c, err
}

func (c *differ) stop() {
	for _, cursor := range []*treeCursor{c.left, c.right, c.base} {
		if cursor != nil {
			cursor.stop()
		}
	}
}

// key returns a lower bound of the keys that are left; nil if there are none.
func (c *differ) key() []byte {
	if c.left.done() || !c.right.done() && bytes.Compare(c.right.key, c.left.key) < 0 {
		return c.right.key
	}
	return c.left.key
}

// within reports whether a key with the prefix may be left.
func (c *differ) within(prefix string) bool {
	key := c.key()
	return key != nil && strings.HasPrefix(string(key), prefix)
}

// skip leaves out the keys that start with dir.
func (c *differ) skip(ctx context.Context, dir string) error {
	c.passed = dir
	behind := successor(dir)
	for _, cursor := range []*treeCursor{c.left, c.right} {
		if behind == "" {
			cursor.key = nil
		} else if err := cursor.seek(ctx, behind); err != nil {
			return err
		}
	}
	return nil
}

// step passes a range or a key, or opens a range. It returns the key's difference, if it has
// one.
func (c *differ) step(ctx context.Context) (*Difference, error) {
	if passed, err := c.passRange(ctx); passed || err != nil {
		return nil, err
	}
	key := c.key()
	for _, side := range []*treeCursor{c.left, c.right} {
		if !side.done() && !side.isOpen() && bytes.Equal(side.key, key) {
			return nil, side.open(ctx)
		}
	}
	return c.passKey(ctx, string(key))
}

// passRange passes a range without reading it where no key of it can have a difference.
func (c *differ) passRange(ctx context.Context) (bool, error) {
	l, r := c.left, c.right
	lWhole, rWhole := !l.done() && !l.isOpen(), !r.done() && !r.isOpen()
	if lWhole && rWhole && l.at.ID == r.at.ID {
		c.passed = l.at.MaxKey
		if err := l.drop(); err != nil {
			return true, err
		}
		return true, r.drop()
	}
	switch {
	case c.base == nil:
		return false, nil
	case rWhole && (l.done() || bytes.Compare(l.key, r.key) >= 0):
		return c.passUnchanged(ctx)
	case lWhole && (r.done() || string(r.key) > l.at.MaxKey):
		return c.passAdded(ctx)
	}
	return false, nil
}

// passUnchanged passes the right range, and the left keys beside it, if base has the range,
// too: whatever the left side did to these keys, the right one did nothing.
func (c *differ) passUnchanged(ctx context.Context) (bool, error) {
	l, r := c.left, c.right
	if err := c.base.seek(ctx, string(r.key)); err != nil {
		return false, err
	}
	if c.base.done() || c.base.at.ID != r.at.ID {
		return false, nil
	}
	c.passed = r.at.MaxKey
	if err := r.drop(); err != nil {
		return true, err
	}
	return true, l.seek(ctx, c.passed+"\x00")
}

// passAdded passes the left range, beside which there is no right key, if base has no key
// there: only the left side has added them.
func (c *differ) passAdded(ctx context.Context) (bool, error) {
	l := c.left
	if err := c.base.seek(ctx, string(l.key)); err != nil {
		return false, err
	}
	if !c.base.done() && string(c.base.key) <= l.at.MaxKey {
		return false, nil
	}
	c.passed = l.at.MaxKey
	return true, l.drop()
}

// passKey compares a key, at whose records the cursors of the sides are that have it.
func (c *differ) passKey(ctx context.Context, key string) (*Difference, error) {
	left, err := identityAt(ctx, c.left, key)
	if err != nil {
		return nil, err
	}
	right, err := identityAt(ctx, c.right, key)
	if err != nil {
		return nil, err
	}
	base := left
	if c.base != nil && !bytes.Equal(left, right) {
		if err := c.base.seek(ctx, key); err != nil {
			return nil, err
		}
		if base, err = identityAt(ctx, c.base, key); err != nil {
			return nil, err
		}
	}
	var found *Difference
	if change := changeOf(base, left, right); change != 0 {
		side := c.right
		if right == nil {
			side = c.left
		}
		found = &Difference{Change: change, Gone: right == nil}
		if found.Entry, err = side.entry(); err != nil {
			return nil, err
		}
	}
	c.passed = key
	if left != nil {
		err = c.left.next(ctx)
	}
	if right != nil && err == nil {
		err = c.right.next(ctx)
	}
	return found, err
}

// changeOf returns what the right side has changed of a key, 0 if nothing. A missing entry has
// no identity.
func changeOf(base, left, right []byte) Change {
	switch {
	case bytes.Equal(left, right), bytes.Equal(base, right):
		return 0
	case !bytes.Equal(base, left):
		return KeyConflict
	case left == nil:
		return KeyAdded
	case right == nil:
		return KeyRemoved
	}
	return KeyChanged
}

// identityAt returns the identity of a key's entry, nil if the tree has none. The cursor has
// passed no key from this one on.
func identityAt(ctx context.Context, c *treeCursor, key string) ([]byte, error) {
	if c.done() || string(c.key) != key {
		return nil, nil
	}
	if !c.isOpen() {
		if err := c.open(ctx); err != nil {
			return nil, err
		}
		return identityAt(ctx, c, key)
	}
	return c.identity()
}
