package table

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/rangefleet/rangefleet/pkg/ident"
)

// Cursor is at a record of a table. It is an iterator for callers that take records
// from several tables by turns. It is for one goroutine, and needs no Close.
type Cursor struct {
	Record // its slices live until Next; zero if Done

	r     *Reader
	index indexCursor
	data  entries
	buf   []byte // memory of data's block
	left  bool   // whether a block lies before this one,
	over  []byte // and the key under which the index lists it: the keys of this one are greater
	check *check // of all records; nil if not all are read
}

// Cursor returns a cursor at the first record whose key is not less than from.
func (r *Reader) Cursor(ctx context.Context, from string) (*Cursor, error) {
	c, err := r.newCursor()
	if err != nil {
		return nil, err
	}
	ok, err := c.seek(ctx, []byte(from))
	return c, c.stand(ok, err)
}

func (c *Cursor) seek(ctx context.Context, key []byte) (bool, error) {
	if ok, err := c.index.seek(ctx, key); !ok || err != nil {
		return false, err
	}
	if err := c.load(ctx); err != nil {
		return false, err
	}
	ok, err := c.data.seek(key)
	if ok || err != nil {
		return ok, err
	}
	return c.nextBlock(ctx) // key lies between the last key of the block and the one that the index lists it under
}

// Whole returns a cursor at the first record. Next at the last record returns an error if
// all records together are not those of the table's ID.
func (r *Reader) Whole(ctx context.Context, id string) (*Cursor, error) {
	c, err := r.newCursor()
	if err != nil {
		return nil, err
	}
	c.check = &check{id: id, r: r, sum: sha256.New()}
	ok, err := c.nextBlock(ctx)
	return c, c.stand(ok, err)
}

func (r *Reader) newCursor() (*Cursor, error) {
	index, err := newIndexCursor(r)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	return &Cursor{r: r, index: index, data: entries{trailer: trailerSize}}, nil
}

// Done reports whether the cursor is behind the last record. Next must not be called then.
func (c *Cursor) Done() bool { return c.Key == nil }

// Next goes to the next record. After an error the cursor is done.
func (c *Cursor) Next(ctx context.Context) error {
	ok, err := c.data.next()
	if !ok && err == nil {
		ok, err = c.nextBlock(ctx)
	}
	return c.stand(ok, err)
}

// stand sets the cursor's Record to the current record of data, or makes the cursor done.
func (c *Cursor) stand(ok bool, err error) error {
	c.Record = Record{}
	if ok && err == nil {
		if kind := c.data.key[len(c.data.key)-trailerSize:]; string(kind) != keySet {
			err = corrupt("key %q has trailer %x, want %x", c.data.user(), kind, keySet)
		}
	}
	if c.check != nil && err == nil {
		if ok {
			c.check.add(c.data.user(), c.data.value)
		} else {
			err = c.check.finish()
		}
	}
	if err != nil {
		return fmt.Errorf("read table: %w", err)
	}
	if ok {
		c.Record = Record{Key: c.data.user(), Value: c.data.value}
	}
	return nil
}

// nextBlock goes to the first record of the next block, and reports whether there is one.
func (c *Cursor) nextBlock(ctx context.Context) (bool, error) {
	if err := c.leave(); err != nil {
		return false, err
	}
	ok, err := c.index.next(ctx)
	if !ok || err != nil {
		return false, err
	}
	if err := c.load(ctx); err != nil {
		return false, err
	}
	ok, err = c.data.next()
	switch {
	case err != nil:
		return false, err
	case !ok && c.r.meta.Count > 0:
		return false, corrupt("a data block is empty")
	case ok && c.left && bytes.Compare(c.data.user(), c.over) <= 0:
		return false, corrupt("key %q is not above %q, under which the index lists the block before", c.data.user(), c.over)
	}
	return ok, nil
}

// load reads the data block at which the index cursor is.
func (c *Cursor) load(ctx context.Context) error {
	content, err := readBlock(ctx, c.r.file, c.index.at, c.buf)
	if err != nil {
		return err
	}
	c.buf = content
	return c.data.load(content)
}

// leave makes sure that the last key of the block is not above the key under which the
// index lists the block.
func (c *Cursor) leave() error {
	if !c.data.begun {
		return nil
	}
	c.left, c.over = true, append(c.over[:0], c.index.key()...)
	if bytes.Compare(c.data.user(), c.over) > 0 {
		return corrupt("key %q is above %q, under which the index lists its block", c.data.user(), c.over)
	}
	return nil
}

// check compares all records of a table with its ID and its properties.
type check struct {
	id string
	r  *Reader

	sum         hash.Hash
	wait        []byte // records that are not hashed yet
	count       int64
	first, last []byte // keys
}

// add takes the next record. It does not keep its slices.
func (c *check) add(key, value []byte) {
	if c.count == 0 {
		c.first = append(c.first, key...)
	}
	c.count++
	c.last = append(c.last[:0], key...)
	c.wait = appendHashInput(appendHashInput(c.wait, key), value)
	if len(c.wait) >= 4<<10 {
		c.sum.Write(c.wait)
		c.wait = c.wait[:0]
	}
}

// finish returns what is wrong with the records, once all of them were added.
func (c *check) finish() error {
	c.sum.Write(ident.AppendStringMap(c.wait, c.r.props))
	if id := hex.EncodeToString(c.sum.Sum(nil)); id != c.id {
		return corrupt("the records are those of table %s, not %s", id, c.id)
	}
	if m := c.r.meta; c.count != m.Count || string(c.first) != m.MinKey || string(c.last) != m.MaxKey {
		return corrupt("there are %d records from %q to %q, the properties say %d from %q to %q",
			c.count, c.first, c.last, m.Count, m.MinKey, m.MaxKey)
	}
	return nil
}
