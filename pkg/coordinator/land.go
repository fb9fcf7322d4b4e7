package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// maxRounds bounds how long one step tries to land an import. A head that moves
// meanwhile costs two rounds.
const maxRounds = 200

// lander ends one import whose keys are covered: it lands the import on its target, or
// previews that, or abandons the import. It is for one goroutine.
type lander struct {
	imp      *importHandle
	catalog  *catalog.Catalog
	stores   objectstore.Chooser
	covers   *covers.Log
	progress *follow.Progress
	branches *branchqueue.Queues
	steps    *stepRunner

	// dead is the attempt of the record if the last call of land saw that it can never
	// land. See landNow.
	dead *imports.Attempt
}

// land commits the import in its turn: imports into one branch land one after another,
// since each is merged with the tree that the one before has left. It reports whether
// that has ended the import.
func (l *lander) land(ctx context.Context) (ended bool, err error) {
	record, err := l.imp.record(ctx)
	if err != nil {
		return false, err
	}
	objects, _ := l.progress.Covered()
	waiting := l.imp.metrics.steps.WithLabelValues(stepCommit, phaseWaiting)
	waiting.Inc()
	turn, err := l.branches.Wait(ctx, record.Request.Repository+"."+record.Request.Branch, objects)
	waiting.Dec()
	if err != nil {
		return false, err
	}
	defer turn.Release(ctx)
	done, err := l.steps.begin(ctx, stepCommit, storeOf(record.Job.Namespace))
	if err != nil {
		return false, err
	}
	defer done()
	record, err = l.imp.record(ctx) // it may have been canceled while it waited
	if err != nil || record.State.Ended() {
		return false, err
	}
	return l.landNow(ctx, turn, record)
}

func (l *lander) target(record imports.Record) target {
	return target{l.catalog, record.Request, record.Job.Incarnation}
}

// landNow records an attempt, and moves the branch if it is still at the attempt's
// revision. It takes one of these steps a round.
//
// While the branch is at the attempt's revision, the attempt may land at any moment, by
// whoever recorded it, so no other attempt is made. Once the branch is at another
// revision and the attempt was never on it, the attempt is dead: it can never land, since
// no revision comes again. Only the latest head can tell that, because an older one may
// be from before the attempt landed.
func (l *lander) landNow(ctx context.Context, turn *branchqueue.Turn, record imports.Record) (ended bool, err error) {
	l.dead = nil
	on, latest := l.target(record), false
	for range maxRounds {
		head, err := on.head(ctx, latest)
		if fault.Is(err, fault.NotFound) {
			l.dead = record.Attempt
		}
		if err != nil {
			return false, err
		}
		landed, err := on.landed(ctx, head, record.Attempt)
		if err != nil {
			return false, err
		}
		switch {
		case landed:
			return l.complete(ctx, record)
		case record.Attempt != nil && record.Attempt.Revision == head.Revision:
			if err := l.move(ctx, on, head, record.Attempt); err != nil {
				return false, err
			}
			continue
		case record.Attempt != nil && !latest: // judged by an older head, an attempt that can land looks dead
			latest = true
			turn.Claim(ctx)
			continue
		}
		l.dead = record.Attempt
		fold, covers := l.progress.Fold()
		if !fold.Complete() {
			return false, l.incomplete(ctx, covers)
		}
		if record, err = l.attempt(ctx, record, head, fold); err != nil {
			return false, err // the import was canceled meanwhile, perhaps: the next step sees it
		}
		l.dead = nil
	}
	return false, fmt.Errorf("commit to branch %q: its head moved %d times", record.Request.Branch, maxRounds/2)
}

// move moves the branch from head to the recorded attempt, unless another process moves it
// at the same time.
func (l *lander) move(ctx context.Context, on target, head catalog.Branch, a *imports.Attempt) error {
	result, err := "landed", on.move(ctx, head, a)
	if fault.Is(err, fault.Conflict) {
		result, err = "moved", nil
	}
	if err == nil {
		l.imp.metrics.attempts.WithLabelValues(result).Inc()
	}
	return err
}

// attempt makes the commit that replaces head, and records it in place of the record's
// attempt, which is dead. It returns the record with the attempt that counts: another
// coordinator may have been faster.
func (l *lander) attempt(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (imports.Record, error) {
	next := record
	err := l.steps.survive(ctx, func() error {
		t, err := l.tree(ctx, record, head, fold)
		if err != nil {
			return err
		}
		id, err := metarange.WriteAll(ctx, t.files, t.ranges, t.about)
		if err != nil {
			return fmt.Errorf("storage namespace %s: %w", record.Job.Namespace, err)
		}
		commit, err := l.target(record).add(ctx, t.parent, id, l.imp.now())
		if err != nil {
			return err
		}
		next, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
			return r.Commit(l.imp.now().UTC(), record.Attempt, imports.Attempt{
				CommitID: commit.ID, MetarangeID: id, Parent: head.CommitID, Revision: head.Revision,
				Created: commit.Created, Objects: fold.Objects, Ranges: fold.Ranges, Changes: t.changes,
			})
		})
		return err
	})
	return next, err
}

// incomplete returns why an import whose covers do not chain cannot be attempted again,
// or nil if this process has followed fewer covers than are stored. If it has followed
// them all, covers are lost, and with them what is to be committed.
func (l *lander) incomplete(ctx context.Context, followed uint64) error {
	if err := l.progress.Err(); err != nil {
		return err // covers that are missing may be stored
	}
	stored, err := l.covers.Count(ctx, l.imp.id)
	if err != nil || followed < stored {
		return err
	}
	return fmt.Errorf("commit again, as the branch has moved: the %d covers that are stored do not hold all keys any more", stored)
}

// complete records that the import is on the branch.
func (l *lander) complete(ctx context.Context, record imports.Record) (ended bool, err error) {
	if err := l.target(record).complete(ctx, record.Attempt); err != nil {
		return false, err
	}
	_, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Complete(l.imp.now().UTC()) })
	return err == nil, err
}

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
	head, err := l.target(record).head(ctx, false)
	if err != nil {
		return false, err
	}
	var changes metarange.Changes
	err = l.steps.survive(ctx, func() error {
		t, err := l.tree(ctx, record, head, fold)
		if err != nil {
			return err
		}
		for _, err := range t.ranges {
			if err != nil {
				return fmt.Errorf("storage namespace %s: %w", record.Job.Namespace, err)
			}
		}
		changes = t.changes
		return nil
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

// abandon ends the import because of the cause. An import that is committing is abandoned
// only if the attempt in its record is dead. Otherwise the attempt may have landed, which
// only another try can tell: the error is the cause.
func (l *lander) abandon(ctx context.Context, cause error) (ended bool, err error) {
	objects, _ := l.progress.Covered()
	_, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
		return r.Fail(l.imp.now().UTC(), l.dead, cause.Error(), objects)
	})
	if fault.Is(err, fault.Conflict) {
		return false, cause
	}
	return err == nil, err
}

// tree is what an import makes of the tree of a branch. Its ranges are made and stored as
// they are yielded.
type tree struct {
	parent  catalog.Commit
	files   *namespace.Files
	ranges  metarange.Ranges
	about   int               // estimated number of ranges
	changes metarange.Changes // complete once all ranges were yielded
}

// tree returns the tree of head without the import's destination and with its ranges. No
// tree is held in memory as a list.
func (l *lander) tree(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (*tree, error) {
	job := record.Job
	parent, err := l.target(record).commit(ctx, head.CommitID)
	if err != nil {
		return nil, err
	}
	files, err := namespace.Open(ctx, l.stores, job.Namespace)
	if err != nil {
		return nil, err
	}
	base, count, err := metarange.Stream(ctx, files, parent.MetarangeID)
	if err != nil {
		return nil, fmt.Errorf("storage namespace %s: %w", job.Namespace, err)
	}
	src, err := source.Open(ctx, l.stores, job.Paths, job.Listing.Mode)
	if err != nil {
		return nil, err
	}
	prefixes, keys := src.Removed()
	t := &tree{parent: parent, files: files, about: count + fold.Ranges}
	result := metarange.Replace(ctx, files, job.Breaks, base, rangesOf(fold), metarange.Removed{Prefixes: prefixes, Keys: keys})
	t.ranges = metarange.Compare(ctx, files, base, result, &t.changes)
	return t, nil
}

func rangesOf(fold partition.Fold) metarange.Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		for r := range fold.All() {
			if !yield(r, nil) {
				return
			}
		}
	}
}
