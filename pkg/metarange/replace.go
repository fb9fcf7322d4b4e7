package metarange

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Replace yields the ranges of the tree base without its removed keys, plus the
// imported ranges, and stores those of them that are new. Where base and import
// hold the same key, the import's entry stays.
//
// The result is canonical: the ranges that one gets by writing all its entries
// from the first on with the same breaks. For this base and imported must have
// been written with these breaks, and breaks.MinSize must be 0; otherwise the
// result is a right tree, but where its ranges end depends on where they ended
// before.
//
// Both sequences must pass Check, and their files must be stored. Ranges that
// stay as they are, or go away whole, are not read: the work is in proportion to
// the ranges at the seams between what stays and what comes. Records that are
// written again keep their bytes. At most one file of each, one that is being
// written and a few ranges are in memory. An error is yielded last; some new
// ranges may be stored by then, and no tree refers to them.
func Replace(ctx context.Context, files Files, breaks partition.Breaks, base, imported Ranges, removed Removed) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		m, err := newMerge(files, breaks, base, imported, removed)
		if err != nil {
			yield(partition.RangeMetadata{}, err)
			return
		}
		defer m.close()
		m.out.yield = func(r partition.RangeMetadata) bool { return yield(r, nil) }
		if err := m.run(ctx); err != nil && !m.out.stopped {
			yield(partition.RangeMetadata{}, fmt.Errorf("merge imported ranges into a tree: %w", err))
		}
	}
}

// merge is the state of one Replace.
type merge struct {
	breaks         partition.Breaks
	base, imported *input
	out            output
}

func newMerge(files Files, breaks partition.Breaks, base, imported Ranges, removed Removed) (*merge, error) {
	gone, err := removed.removal()
	if err != nil {
		return nil, err
	}
	m := &merge{breaks: breaks, out: output{files: files, breaks: breaks}}
	// Such a range ends with the last record of one that was read, and that
	// was the last of its input.
	m.out.stored = func(id string) bool { return id == m.base.opened || id == m.imported.opened }
	if m.base, err = newInput(files, base, gone); err != nil {
		m.base.close()
		return nil, fmt.Errorf("check the tree to import into: %w", err)
	}
	if m.imported, err = newInput(files, imported, nil); err != nil {
		m.close()
		return nil, fmt.Errorf("check the imported ranges: %w", err)
	}
	return m, nil
}

func (m *merge) close() {
	m.base.close()
	m.imported.close()
	m.out.close()
}

// run moves range after range, or record after record, to the output.
func (m *merge) run(ctx context.Context) error {
	for !m.out.stopped {
		in, other := m.next()
		if in.done() {
			return m.out.flush(ctx)
		}
		var err error
		switch {
		case m.passes(in, other):
			m.out.keep(in.first)
			err = in.drop()
		case !in.isOpen():
			m.out.expect(in.first.EstimatedSize)
			err = in.open(ctx)
		default:
			if !bytes.Equal(in.key, m.out.last) { // else the import's is there already
				err = m.out.add(ctx, in.records.Record)
			}
			if err == nil {
				err = in.advance(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next returns the input whose next key is the lower one, and the other. Of
// equal keys the import's is first.
func (m *merge) next() (in, other *input) {
	if m.imported.done() || !m.base.done() && bytes.Compare(m.base.key, m.imported.key) < 0 {
		return m.base, m.imported
	}
	return m.imported, m.base
}

// passes reports whether the next range of in can stay as it is. It starts with
// an empty writer, as every range did, when the output is at a boundary; so it
// is canonical if nothing is to be taken out of it or put into it, and if it
// ends where a range must, or where everything ends.
func (m *merge) passes(in, other *input) bool {
	if in.isOpen() || !m.out.atBoundary() {
		return false
	}
	r := in.first
	alone := r.MinKey > string(m.out.last) &&
		(other.done() || r.MaxKey < string(other.key)) &&
		!in.gone.touches(r.MinKey, r.MaxKey)
	last := in.last() && other.done()
	return alone && (last || m.breaks.EndsAfter([]byte(r.MaxKey), r.EstimatedSize))
}

// output is the resulting ranges: kept ones and, between them, ranges that are
// written record by record.
type output struct {
	files   Files
	breaks  partition.Breaks
	yield   func(partition.RangeMetadata) bool
	stopped bool          // yield wants no more
	last    []byte        // the last key
	w       *table.Writer // nil until the first record

	// stored reports whether a range that ends with the record added last is
	// known to be stored.
	stored func(id string) bool
}

// atBoundary reports whether no range is begun.
func (o *output) atBoundary() bool { return o.w == nil || o.w.Len() == 0 }

// keep appends a stored range; the output must be at a boundary.
func (o *output) keep(r partition.RangeMetadata) {
	o.stopped = !o.yield(r)
	o.last = append(o.last[:0], r.MaxKey...)
}

// expect makes room for the records of a range of so many bytes: a file that is
// copied while it grows takes half as long again to be written.
func (o *output) expect(size uint64) {
	size = min(size, o.breaks.MaxSize)
	o.writer().Grow(int(o.w.EstimatedSize() + size + size/8))
}

func (o *output) writer() *table.Writer {
	if o.w == nil {
		o.w = table.NewWriter(table.Ranges)
	}
	return o.w
}

// add writes a record and ends the range if it ends after it.
func (o *output) add(ctx context.Context, rec table.Record) error {
	if err := o.writer().Add(rec.Key, rec.Value); err != nil {
		return err
	}
	o.last = append(o.last[:0], rec.Key...)
	if o.breaks.EndsAfter(rec.Key, o.w.EstimatedSize()) {
		return o.flush(ctx)
	}
	return nil
}

// flush ends the range that is begun, if one is, and stores it if it is new.
func (o *output) flush(ctx context.Context) error {
	if o.atBoundary() {
		return nil
	}
	t := o.w.Close()
	if !o.stored(t.Meta.ID) {
		if err := o.files.Put(ctx, t.Meta.ID, t.Data, t.Sum); err != nil {
			return fmt.Errorf("store range %s (%q to %q): %w", t.Meta.ID, t.Meta.MinKey, t.Meta.MaxKey, err)
		}
	}
	o.w.Reset(t.Data)
	o.stopped = !o.yield(t.Meta)
	return nil
}

func (o *output) close() {
	if o.w != nil {
		o.w.Abort()
	}
}
