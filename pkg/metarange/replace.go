package metarange

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Replace yields the ranges of the tree base without its removed keys, plus the
// imported ranges, and stores the new ones among them. If base and the import hold the
// same key, the import's entry stays.
//
// The result is canonical: it has the ranges that a writer makes that writes all its
// entries from the first on with the same breaks. This requires that base and imported
// were written with these breaks, and that breaks.MinSize is 0; otherwise the result is a
// valid tree, but where its ranges end depends on where they ended before.
//
// Both sequences must pass Check, and their files must be stored. Ranges that stay
// unchanged, or are wholly removed, are not read: the work is proportional to the ranges
// at the seams between kept and imported ones. Records that are written again keep their
// bytes. At most one file of each sequence, one that is being written and a few ranges
// are in memory. An error is yielded last. New ranges that were stored before it are
// in no tree.
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
	// A range that was stored before and is written again ends with the last record of a
	// range that was read, which is the one that was opened last.
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
			if !bytes.Equal(in.key, m.out.last) { // else the import's entry of the key is there already
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

// next returns the input with the lower next key, and the other one. Of equal keys the
// import's comes first.
func (m *merge) next() (in, other *input) {
	if m.imported.done() || !m.base.done() && bytes.Compare(m.base.key, m.imported.key) < 0 {
		return m.base, m.imported
	}
	return m.imported, m.base
}

// passes reports whether the next range of in can stay unchanged. If the output is at a
// boundary, the range starts with an empty writer, as every range did. Then it is canonical
// if no key is to be removed from it or added to it, and if it ends where a range must, or
// at the end of the tree.
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

// output yields the resulting ranges: kept ones and, between them, ranges that it writes
// record by record.
type output struct {
	files   Files
	breaks  partition.Breaks
	yield   func(partition.RangeMetadata) bool
	stopped bool          // yield has returned false
	last    []byte        // the last key
	w       *table.Writer // nil until the first record

	// stored reports whether a range that ends with the record added last is
	// known to be stored.
	stored func(id string) bool
}

// atBoundary reports whether no range is open.
func (o *output) atBoundary() bool { return o.w == nil || o.w.Len() == 0 }

// keep appends a stored range; the output must be at a boundary.
func (o *output) keep(r partition.RangeMetadata) {
	o.stopped = !o.yield(r)
	o.last = append(o.last[:0], r.MaxKey...)
}

// expect makes room for the records of a range of size bytes: copying a file while it
// grows makes writing it take half as long again.
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

// add writes a record, and ends the range if it must end after that.
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

// flush ends the open range, if there is one, and stores it if it is new.
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
