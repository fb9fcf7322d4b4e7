package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// tree is what an import makes of a branch. Its ranges are made, and stored, as they
// are yielded.
type tree struct {
	files   *namespace.Files
	ranges  metarange.Ranges
	about   int               // number of ranges
	changes metarange.Changes // known once the ranges were yielded
}

// tree returns parent's tree minus the import's destination plus its ranges. None of
// these trees is in memory as a list.
func (d *driver) tree(ctx context.Context, job imports.Job, parent catalog.Commit, fold partition.Fold) (*tree, error) {
	files, err := d.files(ctx, job.Namespace)
	if err != nil {
		return nil, err
	}
	base, count, err := metarange.Stream(ctx, files, parent.MetarangeID)
	if err != nil {
		return nil, fmt.Errorf("storage namespace %s: %w", job.Namespace, err)
	}
	removed, err := d.removed(ctx, job)
	if err != nil {
		return nil, err
	}
	t := &tree{files: files, about: count + fold.Ranges}
	result := metarange.Replace(ctx, files, job.Breaks, base, rangesOf(fold), removed)
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

// removed returns which keys the import takes the place of.
func (d *driver) removed(ctx context.Context, job imports.Job) (metarange.Removed, error) {
	src, err := source.Open(ctx, d.cfg.Stores, job.Paths, job.Listing.Mode)
	if err != nil {
		return metarange.Removed{}, err
	}
	prefixes, keys := src.Removed()
	return metarange.Removed{Prefixes: prefixes, Keys: keys}, nil
}
