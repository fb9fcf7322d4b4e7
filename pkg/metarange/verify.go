package metarange

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Verified is a range of a tree, and what is wrong with its file.
type Verified struct {
	Range partition.RangeMetadata // as the metarange says
	Fault error                   // nil if the file is that range
}

// Verify yields the ranges that end after a key, in key order, each once its file was read
// and compared with the range's ID, keys, count and estimated size. Every record must be an
// entry. A file that is missing or is another range is a Fault, and Verify goes on. A damaged
// metarange, or an error of the store, ends the sequence. The whole metarange is verified
// first if after is empty. Verify holds a few MiB of two files at a time.
func Verify(ctx context.Context, files Parts, id, after string) iter.Seq2[Verified, error] {
	return func(yield func(Verified, error) bool) {
		ranges, err := rangesAfter(ctx, files, id, after)
		if err != nil {
			yield(Verified{}, err)
			return
		}
		for r, err := range ranges {
			v := Verified{Range: r}
			if err == nil {
				v.Fault = verifyRange(ctx, files, r)
				if v.Fault != nil && !damaged(v.Fault) {
					v.Fault, err = nil, v.Fault
				}
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// rangesAfter returns the ranges of a tree that end after a key. If the key is empty, the
// whole metarange is verified.
func rangesAfter(ctx context.Context, files Parts, id, after string) (Ranges, error) {
	if id == "" {
		return List(nil), nil
	}
	r, err := openTable(ctx, Windows(files), id, table.Metaranges)
	if err == nil && after == "" {
		err = r.Verify(ctx, id)
	}
	if err != nil {
		return nil, fmt.Errorf("read metarange %s: %w", id, err)
	}
	return decodedRanges(id, r.From(ctx, after+"\x00")), nil
}

// verifyRange reads the whole file of a range, and compares it with what its metarange says.
func verifyRange(ctx context.Context, files Parts, r partition.RangeMetadata) error {
	records, err := openTable(ctx, Windows(files), r.ID, table.Ranges)
	if err == nil {
		err = checkRange(records, r)
	}
	if err != nil {
		return fmt.Errorf("read range %s: %w", r.ID, err)
	}
	if size := records.Properties().EstimatedSize; size != r.EstimatedSize {
		return fmt.Errorf("read range %s: %w: its estimated size is %d, its metarange says %d", r.ID, table.ErrCorrupt, size, r.EstimatedSize)
	}
	for rec, err := range records.All(ctx, r.ID) {
		if err == nil {
			_, err = decodeEntry(rec, r, "")
		}
		if err != nil {
			return fmt.Errorf("read range %s: %w", r.ID, err)
		}
	}
	return nil
}

// damaged reports whether an error is about a file, and will stay.
func damaged(err error) bool {
	return errors.Is(err, table.ErrCorrupt) || errors.Is(err, objectstore.ErrNotFound)
}
