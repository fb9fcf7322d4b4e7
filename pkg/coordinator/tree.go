package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// tree is what an import makes of the tree of a branch. Its ranges are made and stored as
// they are yielded.
type tree struct {
	files   *namespace.Files
	ranges  metarange.Ranges
	about   int               // estimated number of ranges
	changes metarange.Changes // complete once all ranges were yielded
}

// newTree returns parent's tree without the import's destination and with its ranges. No
// tree is held in memory as a list.
func newTree(ctx context.Context, stores objectstore.Chooser, job imports.Job, parent catalog.Commit, fold partition.Fold) (*tree, error) {
	files, err := namespace.Open(ctx, stores, job.Namespace)
	if err != nil {
		return nil, err
	}
	base, count, err := metarange.Stream(ctx, files, parent.MetarangeID)
	if err != nil {
		return nil, fmt.Errorf("storage namespace %s: %w", job.Namespace, err)
	}
	src, err := source.Open(ctx, stores, job.Paths, job.Listing.Mode)
	if err != nil {
		return nil, err
	}
	prefixes, keys := src.Removed()
	t := &tree{files: files, about: count + fold.Ranges}
	result := metarange.Replace(ctx, files, job.Breaks, base, rangesOf(fold), metarange.Removed{Prefixes: prefixes, Keys: keys})
	t.ranges = metarange.Compare(ctx, files, base, result, &t.changes)
	return t, nil
}

// rangesOf yields the ranges of a fold.
func rangesOf(fold partition.Fold) metarange.Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		for r := range fold.All() {
			if !yield(r, nil) {
				return
			}
		}
	}
}
