package metarange

import (
	"context"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// input is one of the two sequences that a merge reads: ranges, of which the
// first may be open.
type input struct {
	files  Files
	gone   removal                   // keys that are left out
	ranges []partition.RangeMetadata // what is left; none of them is gone whole

	// key is not greater than any key that is left: the next record's if a
	// range is open, else the next range's first, which may be gone.
	key []byte

	// Of the open range; next is nil if none is.
	rec  table.Record // the next record, of the key above
	next func() (table.Record, error, bool)
	stop func()
}

func newInput(files Files, ranges []partition.RangeMetadata, gone removal) *input {
	in := &input{files: files, gone: gone}
	for _, r := range ranges {
		if !gone.covers(r.MinKey, r.MaxKey) {
			in.ranges = append(in.ranges, r)
		}
	}
	in.toHead()
	return in
}

func (in *input) done() bool   { return len(in.ranges) == 0 }
func (in *input) isOpen() bool { return in.next != nil }

// open reads the next range's file and goes to its first record.
func (in *input) open(ctx context.Context) error {
	records, err := openRange(ctx, in.files, in.ranges[0])
	if err != nil {
		return err
	}
	in.next, in.stop = iter.Pull2(records.All(""))
	return in.advance()
}

// advance goes to the next record of the open range that is not gone, or closes
// the range if there is none.
func (in *input) advance() error {
	for {
		rec, err, ok := in.next()
		if !ok {
			in.drop()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read range %s: %w", in.ranges[0].ID, err)
		}
		if len(in.gone) == 0 || !in.gone.has(string(rec.Key)) {
			in.rec, in.key = rec, rec.Key
			return nil
		}
	}
}

// drop takes the first range away, whether it is open or not.
func (in *input) drop() {
	in.close()
	in.ranges = in.ranges[1:]
	in.toHead()
}

func (in *input) toHead() {
	if !in.done() {
		in.key = []byte(in.ranges[0].MinKey)
	}
}

// close closes the open range, if one is.
func (in *input) close() {
	if in.isOpen() {
		in.stop()
		in.next, in.stop = nil, nil
	}
}

// openRange reads a range's file, which must be what the metarange says of it.
func openRange(ctx context.Context, files Files, r partition.RangeMetadata) (*table.Reader, error) {
	records, err := open(ctx, files, r.ID, table.Ranges)
	if err != nil {
		return nil, fmt.Errorf("read range %s: %w", r.ID, err)
	}
	if p := records.Properties(); p.MinKey != r.MinKey || p.MaxKey != r.MaxKey || p.Count != r.Count {
		return nil, fmt.Errorf("read range %s: it holds %d entries from %q to %q, its metarange says %d from %q to %q: %w",
			r.ID, p.Count, p.MinKey, p.MaxKey, r.Count, r.MinKey, r.MaxKey, table.ErrCorrupt)
	}
	return records, nil
}
