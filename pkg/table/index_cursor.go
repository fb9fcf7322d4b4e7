package table

import (
	"context"
	"fmt"
)

// indexCursor iterates over the index of a table, which has one level or two.
type indexCursor struct {
	r   *Reader
	top entries // lists the parts of the index; unused if there is one level
	low entries // lists data blocks: the whole index, or a part
	buf []byte  // memory of low's block if it is a part
	at  handle  // of the data block at which the cursor is
}

// newIndexCursor returns a cursor before the first data block.
func newIndexCursor(r *Reader) (indexCursor, error) {
	x := indexCursor{r: r, top: entries{trailer: trailerSize}, low: entries{trailer: trailerSize}}
	root := &x.low
	if r.parts {
		root = &x.top
	}
	if err := root.load(r.index); err != nil {
		return x, fmt.Errorf("index: %w", err)
	}
	return x, nil
}

// key returns the key under which the data block is listed: no key of the block is greater.
func (x *indexCursor) key() []byte { return x.low.user() }

// seek goes to the first data block that may have a key not less than key, and
// reports whether there is one.
func (x *indexCursor) seek(ctx context.Context, key []byte) (ok bool, err error) {
	if x.r.parts {
		if ok, err = x.top.seek(key); ok && err == nil {
			err = x.loadPart(ctx)
		}
		if !ok || err != nil {
			return x.stand(ok, err)
		}
	}
	if ok, err = x.low.seek(key); !ok && err == nil {
		return x.next(ctx) // a part ends before the key under which it is listed
	}
	return x.stand(ok, err)
}

// next goes to the next data block, and reports whether there is one.
func (x *indexCursor) next(ctx context.Context) (ok bool, err error) {
	ok, err = x.low.next()
	for !ok && err == nil && x.r.parts {
		if ok, err = x.top.next(); !ok || err != nil {
			break
		}
		if err = x.loadPart(ctx); err == nil {
			ok, err = x.low.next()
		}
	}
	return x.stand(ok, err)
}

// loadPart reads the part of the index at which top is.
func (x *indexCursor) loadPart(ctx context.Context) error {
	h, err := parseHandle(x.top.value, x.r.end)
	if err != nil {
		return err
	}
	if x.buf, err = readBlock(ctx, x.r.file, h, x.buf); err != nil {
		return err
	}
	return x.low.load(x.buf)
}

// stand stores the handle of the data block.
func (x *indexCursor) stand(ok bool, err error) (bool, error) {
	if ok && err == nil {
		x.at, err = parseHandle(x.low.value, x.r.end)
	}
	if err != nil {
		return false, fmt.Errorf("index: %w", err)
	}
	return ok, nil
}
