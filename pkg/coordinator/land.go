package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// lander ends one import whose keys are covered: it lands the import on its target, or
// previews that, or abandons the import. It is for one goroutine.
type lander struct {
	imp      *importHandle
	trees    *treeMaker
	to       destination
	branches *branchqueue.Queues
}

// destination is the branch that an import lands on, wherever branches are kept. It is for
// one goroutine.
type destination interface {
	// land commits the import, whose turn on the branch has come, and reports whether that
	// has ended it.
	land(ctx context.Context, turn *branchqueue.Turn, record imports.Record) (ended bool, err error)

	// metarange returns the ID of the tree at the head of the branch.
	metarange(ctx context.Context, record imports.Record) (id string, err error)

	// abandon returns the record of the import after it was given up. It is a Conflict if
	// the import may land.
	abandon(r imports.Record, cause string, objects int64) (imports.Record, error)

	// clear removes what an import that has ended left there, if that can be done now.
	clear(ctx context.Context, record imports.Record)
}

// land commits the import in its turn: imports into one branch land one after another,
// since each is merged with the tree that the one before has left. It reports whether
// that has ended the import.
func (l *lander) land(ctx context.Context) (ended bool, err error) {
	record, err := l.imp.record(ctx)
	if err != nil {
		return false, err
	}
	var turn *branchqueue.Turn
	err = l.imp.traced(ctx, "wait for the branch", func() (err error) {
		turn, err = l.waitForBranch(ctx, record.Request)
		return err
	})
	if err != nil {
		return false, err
	}
	defer turn.Release(ctx)
	done, err := l.trees.steps.begin(ctx, stepCommit, storeOf(record.Job.Namespace))
	if err != nil {
		return false, err
	}
	defer done()
	record, err = l.imp.record(ctx) // it may have been canceled while it waited
	if err != nil || record.State.Ended() {
		return false, err
	}
	return l.to.land(ctx, turn, record)
}

// waitForBranch waits for a turn on a branch, in this process and among coordinators.
func (l *lander) waitForBranch(ctx context.Context, r imports.Request) (*branchqueue.Turn, error) {
	waiting := l.imp.metrics.steps.WithLabelValues(stepCommit, phaseWaiting)
	waiting.Inc()
	defer waiting.Dec()
	defer l.imp.waits()()
	objects, _ := l.trees.progress.Covered()
	return l.branches.Wait(ctx, r.Repository+"."+r.Branch, objects)
}

// preview ends a dry run: it makes the tree that the import would commit now, counts how
// the tree differs from that of the branch, and drops it. Ranges at the seams between old
// and new keys are stored all the same, and no tree refers to them. It reports whether
// the import has ended.
func (l *lander) preview(ctx context.Context, record imports.Record, fold partition.Fold) (ended bool, err error) {
	done, err := l.trees.steps.begin(ctx, stepCommit, storeOf(record.Job.Namespace))
	if err != nil {
		return false, err
	}
	defer done()
	base, err := l.to.metarange(ctx, record)
	if err != nil {
		return false, err
	}
	var changes metarange.Changes
	err = l.imp.traced(ctx, "preview", func() error { return l.previewOn(ctx, record, base, fold, &changes) })
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

// previewOn makes the tree that the import makes of the tree with the ID base, and counts how
// the two differ.
func (l *lander) previewOn(ctx context.Context, record imports.Record, base string, fold partition.Fold, changes *metarange.Changes) error {
	return l.trees.steps.survive(ctx, func() error {
		t, err := l.trees.tree(ctx, record.Job, base, fold)
		if err != nil {
			return err
		}
		for _, err := range t.ranges {
			if err != nil {
				return fmt.Errorf("storage namespace %s: %w", record.Job.Namespace, err)
			}
		}
		*changes = t.changes
		return nil
	})
}

// abandon ends the import because of the cause. If it is not certain that the import can
// never land, which only another try can tell, the error is the cause.
func (l *lander) abandon(ctx context.Context, cause error) (ended bool, err error) {
	objects, _ := l.trees.progress.Covered()
	_, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
		return l.to.abandon(r, cause.Error(), objects)
	})
	if fault.Is(err, fault.Conflict) {
		return false, cause
	}
	return err == nil, err
}
