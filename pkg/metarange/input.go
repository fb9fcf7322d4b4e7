package metarange

import (
	"context"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// input is a sequence of ranges that a merge or a comparison reads. The first range may be
// open.
type input struct {
	files Files
	gone  removal // keys that are left out

	// load reads a range's file: loadRange, or readRange where the records are only
	// counted.
	load func(context.Context, Files, partition.RangeMetadata) (*table.Reader, error)

	// The remaining ranges. None of them lies wholly in gone.
	pull   func() (partition.RangeMetadata, error, bool)
	end    func()
	first  partition.RangeMetadata // valid if left > 0
	second partition.RangeMetadata // valid if left > 1
	left   int                     // 0 to 2; below 2 there are no more ranges

	// key is a lower bound of the remaining keys: the key of the next record if a range
	// is open, else the first key of the next range, which may be gone.
	key []byte

	opened string // ID of the range that was opened last

	records *table.Cursor // of the open range, at the record of the key above; nil if none is open
}

func newInput(files Files, ranges Ranges, gone removal) (*input, error) {
	in := &input{files: files, gone: gone, load: loadRange}
	in.pull, in.end = iter.Pull2(checked(ranges))
	return in, in.fill()
}

// fill pulls ranges until there are two, if there are as many, and sets key to the first
// key of the first.
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
	return in.skipGone(ctx)
}

// advance goes to the next record of the open range that is not gone, or drops
// the range if there is none.
func (in *input) advance(ctx context.Context) error {
	if err := in.records.Next(ctx); err != nil {
		return fmt.Errorf("read range %s: %w", in.first.ID, err)
	}
	return in.skipGone(ctx)
}

// skipGone is advance if the current record is gone, and else stays at it.
func (in *input) skipGone(ctx context.Context) error {
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

// drop removes the first range, whether it is open or not.
func (in *input) drop() error {
	in.records = nil
	in.first = in.second
	in.left--
	return in.fill()
}

// close gives up the remaining ranges.
func (in *input) close() { in.end() }

// loadRange reads a range's whole file. It verifies the file, and what the metarange says
// about it.
func loadRange(ctx context.Context, files Files, r partition.RangeMetadata) (*table.Reader, error) {
	data, err := table.Load(ctx, r.ID, func(ctx context.Context) ([]byte, error) { return files.Get(ctx, r.ID) })
	return parseRange(data, err, r)
}

// readRange reads a range's whole file without verifying its ID, which would take three
// times as long. The checksums of its blocks are still checked.
func readRange(ctx context.Context, files Files, r partition.RangeMetadata) (*table.Reader, error) {
	data, err := files.Get(ctx, r.ID)
	return parseRange(data, err, r)
}

// parseRange opens a range's file. It passes on err, the error of reading the file.
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

// checkRange makes sure that a table is a range, and the one that its metarange describes.
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
