package metarange

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// ErrNotFound is errNotFound, for tests that distinguish it from the error of a missing file.
var ErrNotFound = errNotFound

// Replace is replace for sequences.
func Replace(ctx context.Context, files Files, breaks partition.Breaks, base, imported Ranges, removed Removed) Ranges {
	return replace(ctx, files, breaks, walked(base), walked(imported), removed)
}
