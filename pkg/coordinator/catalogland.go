package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// maxRounds bounds how long one step tries to land an import. A head that moves
// meanwhile costs two rounds.
const maxRounds = 200

// catalogLander lands an import on a branch of the catalog.
type catalogLander struct {
	imp        *importHandle
	catalog    *catalog.Catalog
	permission permission
	trees      *treeMaker

	// dead is the attempt of the record if the last call of land saw that it can never
	// land. See land.
	dead *imports.Attempt
}

func (l *catalogLander) target(record imports.Record) target {
	return target{l.catalog, record.Request, record.Job.Incarnation}
}

// land records an attempt, and moves the branch if it is still at the attempt's
// revision. It takes one of these steps a round.
//
// While the branch is at the attempt's revision, the attempt may land at any moment, by
// whoever recorded it, so no other attempt is made. Once the branch is at another
// revision and the attempt was never on it, the attempt is dead: it can never land, since
// no revision comes again. Only the latest head can tell that, because an older one may
// be from before the attempt landed.
func (l *catalogLander) land(ctx context.Context, turn *branchqueue.Turn, record imports.Record) (ended bool, err error) {
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
		dead := record.Attempt
		l.dead = dead
		fold, covers := l.trees.progress.Fold()
		if !fold.Complete() {
			return false, l.trees.incomplete(ctx, covers)
		}
		if record, err = l.attempt(ctx, record, head, fold); err != nil {
			return false, err // the import was canceled meanwhile, perhaps: the next step sees it
		}
		if dead != nil {
			l.imp.metrics.attempts.WithLabelValues(attemptMoved).Inc()
		}
		l.dead = nil
	}
	return false, fmt.Errorf("commit to branch %q: its head moved %d times", record.Request.Branch, maxRounds/2)
}

// move moves the branch from head to the recorded attempt, unless another process moves it
// at the same time.
func (l *catalogLander) move(ctx context.Context, on target, head catalog.Branch, a *imports.Attempt) error {
	err := l.imp.traced(ctx, "move branch", func() error { return on.move(ctx, head, a) }, tracing.With(tracing.CommitID.String(a.CommitID)))
	switch {
	case fault.Is(err, fault.Conflict):
		return nil // the next look at the head tells whether the attempt is dead
	case err == nil:
		l.imp.metrics.attempts.WithLabelValues(attemptLanded).Inc()
	}
	return err
}

// attempt makes the commit that replaces head, checks that its caller may still import it, and records it in place of the record's
// attempt, which is dead. It returns the record with the attempt that counts: another
// coordinator may have been faster.
func (l *catalogLander) attempt(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (imports.Record, error) {
	next := record
	err := l.trees.steps.survive(ctx, func() error {
		on := l.target(record)
		parent, err := on.commit(ctx, head.CommitID)
		if err != nil {
			return err
		}
		id, changes, err := l.trees.write(ctx, record.Job, parent.MetarangeID, fold)
		if err != nil {
			return err
		}
		var commit catalog.Commit
		err = l.imp.traced(ctx, "commit", func() (err error) {
			commit, err = on.add(ctx, parent, id, l.imp.now())
			return err
		}, tracing.With(tracing.MetarangeID.String(id)))
		if err != nil {
			return err
		}
		if err := l.permission.confirm(ctx, record, record.Request.StartedBy()); err != nil {
			return err
		}
		next, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
			return r.Commit(l.imp.now().UTC(), record.Attempt, imports.Attempt{
				CommitID: commit.ID, MetarangeID: id, Parent: head.CommitID, Revision: head.Revision,
				Created: commit.Created, Objects: fold.Objects, Ranges: fold.Ranges, Changes: changes,
			})
		})
		return err
	})
	return next, err
}

// complete records that the import is on the branch.
func (l *catalogLander) complete(ctx context.Context, record imports.Record) (ended bool, err error) {
	if err := l.target(record).complete(ctx, record.Attempt); err != nil {
		return false, err
	}
	_, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Complete(l.imp.now().UTC()) })
	return err == nil, err
}

// metarange returns the ID of the tree at the head of the branch.
func (l *catalogLander) metarange(ctx context.Context, record imports.Record) (id string, err error) {
	on := l.target(record)
	head, err := on.head(ctx, false)
	if err != nil {
		return "", err
	}
	commit, err := on.commit(ctx, head.CommitID)
	return commit.MetarangeID, err
}

// abandon gives the import up. An import that is committing is given up only if the attempt
// in its record is dead. Otherwise the attempt may have landed.
func (l *catalogLander) abandon(r imports.Record, cause string, objects int64) (imports.Record, error) {
	return r.Fail(l.imp.now().UTC(), l.dead, cause, objects)
}

func (l *catalogLander) clear(context.Context, imports.Record) {}
