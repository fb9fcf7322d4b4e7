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
	files Files
	gone  removal // keys that are left out

	// load reads a range's file: loadRange, or readRange where records are counted and
	// go nowhere.
	load func(context.Context, Files, partition.RangeMetadata) (*table.Reader, error)

	// The ranges that are left; none of them is gone whole.
	pull   func() (partition.RangeMetadata, error, bool)
	end    func()
	first  partition.RangeMetadata // valid if left > 0
	second partition.RangeMetadata // valid if left > 1
	left   int                     // ranges at hand: 0 to 2; below 2 there are no more

	// key is not greater than any key that is left: the next record's if a
	// range is open, else the next range's first, which may be gone.
	key []byte

	opened string // ID of the range that was opened last

	records *table.Cursor // of the open range, at the record of the key above; nil if none is open
}

func newInput(files Files, ranges Ranges, gone removal) (*input, error) {
	in := &input{files: files, gone: gone, load: loadRange}
	in.pull, in.end = iter.Pull2(checked(ranges))
	return in, in.fill()
}

// fill takes ranges until two are at hand, if there are as many, and goes to the
// head of the first.
func (in *input) fill() error {
	for in.left < 2 {
		r, err, ok := in.pull()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if in.gone.covers(r.MinKey, r.MaxKey) {
			continue
		}
		if in.left++; in.left == 1 {
			in.first = r
		} else {
			in.second = r
		}
	}
	if in.left > 0 {
		in.key = []byte(in.first.MinKey)
	}
	return nil
}

func (in *input) done() bool   { return in.left == 0 }
func (in *input) last() bool   { return in.left == 1 }
func (in *input) isOpen() bool { return in.records != nil }

// open reads the next range's file and goes to its first record.
func (in *input) open(ctx context.Context) error {
	records, err := in.load(ctx, in.files, in.first)
	if err != nil {
		return err
	}
	in.opened = in.first.ID
	if in.records, err = records.Cursor(ctx, ""); err != nil {
		return fmt.Errorf("read range %s: %w", in.first.ID, err)
	}
	return in.settle(ctx)
}

// advance goes to the next record of the open range that is not gone, or closes
// the range if there is none.
func (in *input) advance(ctx context.Context) error {
	if err := in.records.Next(ctx); err != nil {
		return fmt.Errorf("read range %s: %w", in.first.ID, err)
	}
	return in.settle(ctx)
}

// settle is advance, unless the record at hand is not gone.
func (in *input) settle(ctx context.Context) error {
	for !in.records.Done() {
		if !in.gone.takes(in.records.Key) {
			in.key = in.records.Key
			return nil
		}
		if err := in.records.Next(ctx); err != nil {
			return fmt.Errorf("read range %s: %w", in.first.ID, err)
		}
	}
	return in.drop()
}

// drop takes the first range away, whether it is open or not.
func (in *input) drop() error {
	in.records = nil
	in.first = in.second
	in.left--
	return in.fill()
}

// close gives up what is left.
func (in *input) close() { in.end() }

// loadRange reads a range's file whole. It is verified, and what the metarange says
// of it.
func loadRange(ctx context.Context, files Files, r partition.RangeMetadata) (*table.Reader, error) {
	data, err := table.Load(ctx, r.ID, func(ctx context.Context) ([]byte, error) { return files.Get(ctx, r.ID) })
	return parseRange(data, err, r)
}

// readRange reads a range's file whole without verifying it, which takes three times as
// long. Damage that the checksums of its blocks show is an error all the same.
func readRange(ctx context.Context, files Files, r partition.RangeMetadata) (*table.Reader, error) {
	data, err := files.Get(ctx, r.ID)
	return parseRange(data, err, r)
}

// parseRange opens a range's file, unless it could not be read.
func parseRange(data []byte, err error, r partition.RangeMetadata) (*table.Reader, error) {
	var records *table.Reader
	if err == nil {
		records, err = table.NewReader(data)
	}
	if err == nil {
		err = checkRange(records, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read range %s: %w", r.ID, err)
	}
	return records, nil
}

// checkRange makes sure that a table is a range, and what its metarange says of it.
func checkRange(records *table.Reader, r partition.RangeMetadata) error {
	if err := checkKind(records, table.Ranges); err != nil {
		return err
	}
	if p := records.Properties(); p.MinKey != r.MinKey || p.MaxKey != r.MaxKey || p.Count != r.Count {
		return fmt.Errorf("%w: it holds %d entries from %q to %q, its metarange says %d from %q to %q",
			table.ErrCorrupt, p.Count, p.MinKey, p.MaxKey, r.Count, r.MinKey, r.MaxKey)
	}
	return nil
}
