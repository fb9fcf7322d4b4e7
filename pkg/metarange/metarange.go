// Package metarange writes, reads, compares and merges metaranges. A metarange is a
// stored table of the metadata of consecutive ranges. Its ID, a hash of its content,
// names a whole tree of entries. The package also reads entries by way of a metarange,
// and replaces a part of a tree by the ranges of an import.
package metarange

import (
	"context"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Files are stored by content ID and never change. Both methods may be called
// concurrently, and both retry transient errors themselves.
type Files interface {
	Get(ctx context.Context, id string) ([]byte, error)
	// Put stores data, whose SHA-256 is sum. It is safe to repeat, and does not keep data.
	Put(ctx context.Context, id string, data []byte, sum objectstore.Sum) error
}

// Ranges yields ranges in key order. An error is yielded last.
type Ranges = iter.Seq2[partition.RangeMetadata, error]

// List yields the ranges of a list.
func List(ranges []partition.RangeMetadata) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		for _, r := range ranges {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Write stores the metarange of the ranges and returns its ID. The ranges must
// pass Check. A tree without ranges is stored too, and has an ID like any other.
func Write(ctx context.Context, files Files, ranges []partition.RangeMetadata) (string, error) {
	return WriteAll(ctx, files, List(ranges), len(ranges))
}

// sampled is the number of ranges after which the size of a metarange is estimated.
const sampled = 1000

// WriteAll is Write for a sequence of ranges, which need not be in memory all at once. The
// file is in memory; it is not copied while it grows if about is near the number of ranges.
func WriteAll(ctx context.Context, files Files, ranges Ranges, about int) (string, error) {
	w := table.NewWriter(table.Metaranges)
	defer w.Abort()
	var value []byte
	for r, err := range checked(ranges) {
		if err != nil {
			return "", err
		}
		value = table.AppendRangeValue(value[:0], r)
		if err := w.Add([]byte(r.MaxKey), value); err != nil {
			return "", fmt.Errorf("add range %s to a metarange: %w", r.ID, err)
		}
		if w.Len() == sampled && about > sampled {
			size := int(w.EstimatedSize())
			w.Grow(size * about / sampled * 21 / 20)
		}
	}
	t := w.Close()
	if err := files.Put(ctx, t.Meta.ID, t.Data, t.Sum); err != nil {
		return "", fmt.Errorf("store a metarange: %w", err)
	}
	return t.Meta.ID, nil
}

// Read returns the ranges of a tree in key order. The empty ID is the empty tree of a
// repository's first commit. The error for a missing metarange is that of files. Every
// error names the ID.
func Read(ctx context.Context, files Parts, id string) ([]partition.RangeMetadata, error) {
	all, count, err := Stream(ctx, files, id)
	if err != nil {
		return nil, err
	}
	ranges := make([]partition.RangeMetadata, 0, count)
	for r, err := range all {
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// Stream is Read without all ranges in memory at once: it holds a few MiB of the file.
// There are about count ranges. The sequence can be iterated more than once. The ranges
// are verified only once the sequence has ended without an error.
func Stream(ctx context.Context, files Parts, id string) (ranges Ranges, count int, err error) {
	f, err := openFile(ctx, files, id)
	if err != nil {
		return nil, 0, err
	}
	return f.ranges(ctx), f.count(), nil
}

// Describe returns what the file of a range says that the range is: its first and last keys,
// its entries and its estimated size. It reads only the end of the file. An error wraps
// table.ErrCorrupt if the file is not a range. The error for a missing file is that of files.
func Describe(ctx context.Context, files Parts, id string) (partition.RangeMetadata, error) {
	file, err := openEnd(ctx, files, id)
	if err != nil {
		return partition.RangeMetadata{}, err
	}
	kind, r, err := table.Describe(ctx, file)
	if err == nil && kind != table.Ranges {
		err = fmt.Errorf("%w: the file holds %s", table.ErrCorrupt, kind)
	}
	r.ID = id
	return r, err
}

// openTable opens a file that must be a table of the kind.
func openTable(ctx context.Context, files Opener, id string, kind table.Kind) (*table.Reader, error) {
	file, err := files.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := table.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	return r, checkKind(r, kind)
}

func checkKind(r *table.Reader, kind table.Kind) error {
	if r.Kind() != kind {
		return fmt.Errorf("%w: the file holds %s, want %s", table.ErrCorrupt, r.Kind(), kind)
	}
	return nil
}

// Check returns an error unless the ranges are a tree: each has an ID of 64 hex digits, at
// least one entry and a first key that is not after its last, and each begins after the
// one before it ends.
func Check(ranges []partition.RangeMetadata) error {
	for _, err := range checked(List(ranges)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// checked yields ranges as long as they are a tree.
func checked(ranges Ranges) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		i, before := 0, partition.RangeMetadata{}
		for r, err := range ranges {
			if err == nil {
				err = check(i, r, before)
			}
			if !yield(r, err) || err != nil {
				return
			}
			i, before = i+1, r
		}
	}
}

// check checks the i-th range, and that it follows the one before it.
func check(i int, r, before partition.RangeMetadata) error {
	switch {
	case !isID(r.ID):
		return fmt.Errorf("range %d (%q to %q) has the ID %q, want 64 hex digits", i, r.MinKey, r.MaxKey, r.ID)
	case r.MinKey == "" || r.MinKey > r.MaxKey:
		return fmt.Errorf("range %s goes from %q to %q", r.ID, r.MinKey, r.MaxKey)
	case r.Count < 1:
		return fmt.Errorf("range %s (%q to %q) has %d entries", r.ID, r.MinKey, r.MaxKey, r.Count)
	case i > 0 && r.MinKey <= before.MaxKey:
		return fmt.Errorf("range %s begins at %q, but the one before it, %s, ends at %q", r.ID, r.MinKey, before.ID, before.MaxKey)
	}
	return nil
}

// hexDigit is 1 at the lower-case hex digits.
var hexDigit = [256]byte{
	'0': 1, '1': 1, '2': 1, '3': 1, '4': 1, '5': 1, '6': 1, '7': 1,
	'8': 1, '9': 1, 'a': 1, 'b': 1, 'c': 1, 'd': 1, 'e': 1, 'f': 1,
}

// isID reports whether id has the form of a content ID: 64 lower-case hex digits. A processor
// could not predict a branch for each digit.
func isID(id string) bool {
	valid := byte(1)
	for i := range len(id) {
		valid &= hexDigit[id[i]]
	}
	return valid == 1 && len(id) == 64
}
