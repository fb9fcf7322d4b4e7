package metarange

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// replace yields the ranges of the tree base without its removed keys, plus the
// imported ranges, and stores the new ones among them. If base and the import hold the
// same key, the import's entry stays.
//
// The result is canonical: it has the ranges that a writer makes that writes all its
// entries from the first on with the same breaks. This requires that base and imported
// were written with these breaks, and that breaks.MinSize is 0; otherwise the result is a
// valid tree, but where its ranges end depends on where they ended before.
//
// Both must pass Check, and their files must be stored. Ranges that stay
// unchanged, or are wholly removed, are not read: the work is proportional to the ranges
// at the borders between kept and imported ones. Records that are written again keep their
// bytes. At most one file of each sequence, one that is being written and a few ranges
// are in memory. An error is yielded last. New ranges that were stored before it are
// in no tree.
func replace(ctx context.Context, files Files, breaks partition.Breaks, base, imported walk, removed Removed) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		gone, err := removed.removal()
		if err != nil {
			yield(partition.RangeMetadata{}, err)
			return
		}
		m := threeWay{
			// From an empty base both trees have added all that they hold.
			base: newInput(files, walked(List(nil)), nil), ours: newInput(files, imported, nil), theirs: newInput(files, base, gone),
			oursWin: true,
		}
		m.run(ctx, files, breaks, "merge imported ranges into a tree", yield)
	}
}
