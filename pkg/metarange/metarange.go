// Package metarange is trees of entries: a metarange is a stored table of the
// metadata of consecutive ranges, and names a whole tree by a hash of its
// content. The package writes and reads metaranges, reads entries through them,
// and replaces a part of a tree by the ranges of an import.
package metarange

import (
	"context"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Files are stored by content ID and never change. Both methods may be called
// concurrently; both try again by themselves what is worth another try.
type Files interface {
	Get(ctx context.Context, id string) ([]byte, error)
	Put(ctx context.Context, id string, data []byte) error // safe to repeat; does not keep data
}

// Write stores the metarange of the ranges and returns its ID. The ranges must
// pass Check. A tree without ranges is stored too, and has an ID like any other.
func Write(ctx context.Context, files Files, ranges []partition.RangeMetadata) (string, error) {
	if err := Check(ranges); err != nil {
		return "", err
	}
	w := table.NewWriter(table.Metaranges)
	defer w.Abort()
	var value []byte
	for _, r := range ranges {
		value = table.AppendRangeValue(value[:0], r)
		if err := w.Add([]byte(r.MaxKey), value); err != nil {
			return "", fmt.Errorf("add range %s to a metarange: %w", r.ID, err)
		}
	}
	t := w.Close()
	if err := files.Put(ctx, t.Meta.ID, t.Data); err != nil {
		return "", fmt.Errorf("store metarange %s: %w", t.Meta.ID, err)
	}
	return t.Meta.ID, nil
}

// Read returns the ranges of a tree in key order. The empty ID is the tree of a
// repository's first commit, which holds nothing. A metarange that is missing is
// the error of files; every error names the ID.
func Read(ctx context.Context, files Files, id string) ([]partition.RangeMetadata, error) {
	if id == "" {
		return nil, nil
	}
	ranges, err := read(ctx, files, id)
	if err != nil {
		return nil, fmt.Errorf("read metarange %s: %w", id, err)
	}
	return ranges, nil
}

func read(ctx context.Context, files Files, id string) ([]partition.RangeMetadata, error) {
	r, err := open(ctx, files, id, table.Metaranges)
	if err != nil {
		return nil, err
	}
	var ranges []partition.RangeMetadata
	for rec, err := range r.All("") {
		if err != nil {
			return nil, err
		}
		m, err := table.DecodeRange(rec.Value)
		if err != nil {
			return nil, fmt.Errorf("decode the range that ends at %q: %w", rec.Key, err)
		}
		ranges = append(ranges, m)
	}
	return ranges, Check(ranges)
}

// open reads a file that must be a table of the kind.
func open(ctx context.Context, files Files, id string, kind table.Kind) (*table.Reader, error) {
	data, err := files.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := table.NewReader(data)
	if err != nil {
		return nil, err
	}
	if r.Kind() != kind {
		return nil, fmt.Errorf("the file holds %s, want %s", r.Kind(), kind)
	}
	return r, nil
}

// Check says what keeps ranges from being a tree: each needs an ID of 64 hex
// digits, at least one entry and a first key that is not after its last, and
// must begin after the one before it has ended.
func Check(ranges []partition.RangeMetadata) error {
	for i, r := range ranges {
		switch {
		case len(r.ID) != 64 || strings.Trim(r.ID, "0123456789abcdef") != "":
			return fmt.Errorf("range %d (%q to %q) has the ID %q, want 64 hex digits", i, r.MinKey, r.MaxKey, r.ID)
		case r.MinKey == "" || r.MinKey > r.MaxKey:
			return fmt.Errorf("range %s goes from %q to %q", r.ID, r.MinKey, r.MaxKey)
		case r.Count < 1:
			return fmt.Errorf("range %s (%q to %q) has %d entries", r.ID, r.MinKey, r.MaxKey, r.Count)
		case i > 0 && r.MinKey <= ranges[i-1].MaxKey:
			return fmt.Errorf("range %s begins at %q, but the one before it, %s, ends at %q",
				r.ID, r.MinKey, ranges[i-1].ID, ranges[i-1].MaxKey)
		}
	}
	return nil
}
