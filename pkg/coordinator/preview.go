package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// preview ends a dry run: it makes the tree that the import would commit now, counts how
// the tree differs from that of the branch, and drops it. Ranges at the seams between old
// and new keys are stored all the same, and no tree refers to them. It reports whether
// the import has ended.
func (l *lander) preview(ctx context.Context, record imports.Record, fold partition.Fold) (ended bool, err error) {
	done, err := l.steps.begin(ctx, stepCommit, storeOf(record.Job.Namespace))
	if err != nil {
		return false, err
	}
	defer done()
	head, err := l.head(ctx, record, l.catalog.Branch)
	if err != nil {
		return false, err
	}
	parent, err := l.catalog.Commit(ctx, record.Request.Repository, head.CommitID)
	if err != nil {
		return false, err
	}
	var changes metarange.Changes
	err = l.steps.survive(ctx, func() (err error) {
		changes, err = l.changes(ctx, record.Job, parent, fold)
		return err
	})
	if err != nil {
		return false, err
	}
	_, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
		return r.Preview(l.imp.now().UTC(), changes, fold.Objects)
	})
	if fault.Is(err, fault.Conflict) {
		return false, nil // it was canceled meanwhile
	}
	return err == nil, err
}

// changes makes the tree that the import makes of parent's, and counts how they differ.
func (l *lander) changes(ctx context.Context, job imports.Job, parent catalog.Commit, fold partition.Fold) (metarange.Changes, error) {
	t, err := newTree(ctx, l.stores, job, parent, fold)
	if err != nil {
		return metarange.Changes{}, err
	}
	for _, err := range t.ranges {
		if err != nil {
			return metarange.Changes{}, fmt.Errorf("storage namespace %s: %w", job.Namespace, err)
		}
	}
	return t.changes, nil
}
