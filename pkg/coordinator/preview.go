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

// preview ends a dry run: it makes the tree that the import would commit now, counts
// how that differs from the branch, and drops it. Ranges at the seams between what
// stays and what comes are stored all the same, and no tree refers to them.
func (d *driver) preview(ctx context.Context, record imports.Record, fold partition.Fold) error {
	done, err := d.turn(ctx, stepCommit, d.commits, storeOf(record.Job.Namespace))
	if err != nil {
		return err
	}
	defer done()
	repository := record.Request.Repository
	head, err := d.cfg.Catalog.Branch(ctx, repository, record.Request.Branch)
	if err == nil && head.Incarnation != record.Job.Incarnation {
		err = fault.Missing("repository") // but another one that has its ID
	}
	if err != nil {
		return err
	}
	parent, err := d.cfg.Catalog.Commit(ctx, repository, head.CommitID)
	if err != nil {
		return err
	}
	var changes metarange.Changes
	err = d.survive(ctx, func() (err error) {
		changes, err = d.changes(ctx, record.Job, parent, fold)
		return err
	})
	if err != nil {
		return err
	}
	_, err = d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Preview(d.cfg.Now().UTC(), changes, fold.Objects)
	})
	if fault.Is(err, fault.Conflict) {
		return nil // it was canceled meanwhile
	}
	d.over = err == nil
	return err
}

// changes makes the tree that the import makes of parent's, and tells how they differ.
func (d *driver) changes(ctx context.Context, job imports.Job, parent catalog.Commit, fold partition.Fold) (metarange.Changes, error) {
	t, err := d.tree(ctx, job, parent, fold)
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
