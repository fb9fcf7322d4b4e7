package metarange

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// FilesInParts are files that are read whole or in parts.
type FilesInParts interface {
	Files
	Parts
}

// Land yields the ranges of the tree that an import leaves of a tree: the tree without its
// removed keys, plus the imported ranges. It stores the ranges among them that are new. If
// both hold the same key, the import's entry stays. The result is canonical; see replace for
// the conditions. base is the ID of the tree's metarange, which has about count ranges.
// changes counts how the two trees differ, as Compare does, with the memory of the budget.
//
// Ranges that stay unchanged, or are wholly removed, are not read, unless the import has keys
// among theirs. The metarange is read twice, since replacing and comparing are at different
// keys, and verified once. Beyond the budget, at most one file of each tree, one that is being written
// and a few MiB of the metarange are in memory. An error is yielded last.
func Land(ctx context.Context, files FilesInParts, breaks partition.Breaks, base string, imported partition.Fold, removed Removed, budget *Budget, changes *Changes) (ranges Ranges, count int, err error) {
	before, err := openFile(ctx, files, base)
	if err != nil {
		return nil, 0, err
	}
	compared, err := before.again(ctx, files)
	if err != nil {
		return nil, 0, err
	}
	result := replace(ctx, files, breaks, before.walk(ctx, true), foldWalk(imported), removed)
	return compare(ctx, files, compared.walk(ctx, false), result, budget, changes), before.count(), nil
}

// foldWalk is a walk over the ranges of a fold. It takes half of the time of one over the
// sequence.
func foldWalk(fold partition.Fold) walk {
	return func() (next func() (partition.RangeMetadata, error, bool), stop func()) {
		ranges := fold.Walk()
		i, before := 0, partition.RangeMetadata{}
		next = func() (r partition.RangeMetadata, err error, ok bool) {
			if r, ok = ranges(); ok {
				err = check(i, r, before)
				i, before = i+1, r
			}
			return r, err, ok
		}
		return next, func() {}
	}
}
