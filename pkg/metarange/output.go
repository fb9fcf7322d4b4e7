package metarange

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// output yields the resulting ranges: kept ones and, between them, ranges that it writes
// record by record.
type output struct {
	files   Files
	breaks  partition.Breaks
	yield   func(partition.RangeMetadata) bool
	stopped bool // yield has returned false
	w       *table.Writer

	// stored reports whether a range that ends with the record added last is
	// known to be stored.
	stored func(id string) bool
}

// atBoundary reports whether no range is open.
func (o *output) atBoundary() bool { return o.w.Len() == 0 }

// keep appends a stored range; the output must be at a boundary.
func (o *output) keep(r partition.RangeMetadata) { o.stopped = !o.yield(r) }

// expect makes room for the records of a range of size bytes: copying a file while it
// grows makes writing it take half as long again.
func (o *output) expect(size uint64) {
	size = min(size, o.breaks.MaxSize)
	o.w.Grow(int(o.w.EstimatedSize() + size + size/8))
}

// add writes a record, and ends the range if it must end after that.
func (o *output) add(ctx context.Context, rec table.Record) error {
	if err := o.w.Add(rec.Key, rec.Value); err != nil {
		return err
	}
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
