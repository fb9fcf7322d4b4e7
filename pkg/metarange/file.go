package metarange

import (
	"context"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// file is the file of a metarange, which is read from front to back.
type file struct {
	id       string
	table    *table.Reader // nil if the ID is empty
	verified bool          // against its ID; then it is in memory
}

// openFile opens the file of a metarange, and verifies it if it is so small that it is in
// memory anyway: before anybody uses it.
func openFile(ctx context.Context, files Parts, id string) (f file, err error) {
	f.id = id
	if id == "" {
		return f, nil
	}
	f.table, err = openTable(ctx, Windows(files), id, table.Metaranges)
	if err == nil && f.table.Size() <= windowSize {
		err, f.verified = f.table.Verify(ctx, id), true
	}
	if err != nil {
		err = fmt.Errorf("read metarange %s: %w", id, err)
	}
	return f, err
}

// again returns the file for a second pass at the same time, at other keys: with parts of its
// own in memory, unless the whole file is.
func (f file) again(ctx context.Context, files Parts) (file, error) {
	if f.table == nil || f.verified {
		return f, nil
	}
	return openFile(ctx, files, f.id)
}

// count is about the number of ranges.
func (f file) count() int {
	if f.table == nil {
		return 0
	}
	return int(min(f.table.Properties().Count, f.table.Size()/minRangeSize))
}

// minRangeSize is about the least size of a range in the file of a metarange, in bytes:
// the digits of its ID hardly compress. It bounds the number of ranges that a file is
// believed to hold.
const minRangeSize = 64

// ranges yields the ranges. They are verified only once the sequence has ended without an
// error.
func (f file) ranges(ctx context.Context) Ranges {
	switch {
	case f.table == nil:
		return List(nil)
	case f.verified:
		return decodedRanges(f.id, f.table.From(ctx, ""))
	}
	return decodedRanges(f.id, f.table.All(ctx, f.id))
}

// walk is a walk over the ranges. Without verify, it does not compare them with the ID. It
// takes half of the time of one over the sequence.
func (f file) walk(ctx context.Context, verify bool) walk {
	if f.table == nil {
		return walked(List(nil))
	}
	begin := func() (*table.Cursor, error) { return f.table.Cursor(ctx, "") }
	if verify && !f.verified {
		begin = func() (*table.Cursor, error) { return f.table.Whole(ctx, f.id) }
	}
	return func() (next func() (partition.RangeMetadata, error, bool), stop func()) {
		d := rangeDecoder{id: f.id}
		var at *table.Cursor
		next = func() (r partition.RangeMetadata, err error, ok bool) {
			if at == nil {
				at, err = begin()
			} else if !at.Done() {
				err = at.Next(ctx)
			}
			if err == nil && at.Done() {
				return r, nil, false
			}
			if err == nil {
				r, err = d.decode(at.Record)
			}
			return r, d.explain(err), true
		}
		return next, func() {}
	}
}

// decodedRanges yields the ranges in consecutive records of the metarange with an ID, as long
// as they are valid in a tree.
func decodedRanges(id string, records iter.Seq2[table.Record, error]) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		d := rangeDecoder{id: id}
		for rec, err := range records {
			var r partition.RangeMetadata
			if err == nil {
				r, err = d.decode(rec)
			}
			if !yield(r, d.explain(err)) || err != nil {
				return
			}
		}
	}
}

// rangeDecoder decodes consecutive records of a metarange.
type rangeDecoder struct {
	id     string // of the metarange
	i      int    // records before
	before partition.RangeMetadata
}

// explain adds to an error, if there is one, what was read.
func (d *rangeDecoder) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read metarange %s: %w", d.id, err)
}

// decode returns the range that the next record holds.
func (d *rangeDecoder) decode(rec table.Record) (partition.RangeMetadata, error) {
	r, err := table.DecodeRange(rec.Value)
	if err != nil {
		return r, fmt.Errorf("decode the range that ends at %q: %w", rec.Key, err)
	}
	if r.MaxKey != string(rec.Key) {
		return r, fmt.Errorf("%w: range %s ends at %q, its key is %q", table.ErrCorrupt, r.ID, r.MaxKey, rec.Key)
	}
	if err := check(d.i, r, d.before); err != nil {
		return r, fmt.Errorf("%w: %w", table.ErrCorrupt, err)
	}
	d.i, d.before = d.i+1, r
	return r, nil
}
