package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/source"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// treeMaker makes the tree that an import leaves on its branch. It is for one goroutine.
type treeMaker struct {
	imp      *importHandle
	stores   objectstore.Chooser
	covers   *covers.Log
	progress *follow.Progress
	steps    *stepRunner

	comparisons *metarange.Budget
}

// incomplete returns why an import whose covers do not chain cannot be attempted again,
// or nil if this process has followed fewer covers than are stored. If it has followed
// them all, covers are lost, and with them what is to be committed.
func (m *treeMaker) incomplete(ctx context.Context, followed uint64) error {
	if err := m.progress.Err(); err != nil {
		return err // covers that are missing may be stored
	}
	stored, err := m.covers.Count(ctx, m.imp.id)
	if err != nil || followed < stored {
		return err
	}
	return fmt.Errorf("commit again, as the branch has moved: the %d covers that are stored do not hold all keys any more", stored)
}

// tree is what an import makes of the tree of a branch. Its ranges are made and stored as
// they are yielded.
type tree struct {
	files   *namespace.Files
	ranges  metarange.Ranges
	about   int               // estimated number of ranges
	changes metarange.Changes // complete once all ranges were yielded
}

// tree returns the tree with the ID baseID, without the import's destination and with its
// ranges. No tree is held in memory as a list.
func (m *treeMaker) tree(ctx context.Context, job imports.Job, baseID string, fold partition.Fold) (*tree, error) {
	files, err := namespace.Open(ctx, m.stores, job.Namespace)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, m.stores, job.Paths, job.Listing.Mode)
	if err != nil {
		return nil, err
	}
	prefixes, keys := src.Removed()
	t := &tree{files: files}
	removed := metarange.Removed{Prefixes: prefixes, Keys: keys}
	var count int
	t.ranges, count, err = metarange.Land(ctx, files, job.Breaks, baseID, fold, removed, m.comparisons, &t.changes)
	if err != nil {
		return nil, fmt.Errorf("storage namespace %s: %w", job.Namespace, err)
	}
	t.about = count + fold.Ranges
	m.imp.beat.tree(t.about)
	t.ranges = m.imp.counted(t.ranges)
	return t, nil
}

// write stores the tree that the import makes of the tree with the ID baseID, and returns
// its ID and how the two differ.
func (m *treeMaker) write(ctx context.Context, job imports.Job, baseID string, fold partition.Fold) (id string, changes metarange.Changes, err error) {
	var t *tree
	err = m.imp.traced(ctx, "read tree", func() (err error) {
		t, err = m.tree(ctx, job, baseID, fold)
		return err
	})
	if err != nil {
		return "", changes, err
	}
	err = m.imp.traced(ctx, "write metarange", func() (err error) {
		id, err = metarange.WriteAll(ctx, t.files, t.ranges, t.about)
		return err
	}, tracing.With(tracing.Ranges.Int(fold.Ranges), tracing.Keys.Int64(fold.Objects)))
	if err != nil {
		return "", changes, fmt.Errorf("storage namespace %s: %w", job.Namespace, err)
	}
	return id, t.changes, nil
}
