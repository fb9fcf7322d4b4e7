package coordinator

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Metadata that lakeFS keeps of an import.
const (
	mergeStrategy = ".lakefs.merge.strategy" // of the commit
	sourceWins    = "source-wins"
	lastImport    = ".lakefs.last.import.timestamp" // of the repository: the commit's creation date
)

// maxRounds bounds how long one step tries to land an import. A head that moves
// meanwhile costs two rounds.
const maxRounds = 200

// lander commits the covered keys of one import to its branch. It is for one goroutine.
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
	turn, err := l.waitForBranch(ctx, record.Request)
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

// waitForBranch waits for a turn on a branch, in this process and among coordinators.
func (l *lander) waitForBranch(ctx context.Context, r imports.Request) (*branchqueue.Turn, error) {
	waiting := l.imp.metrics.steps.WithLabelValues(stepCommit, phaseWaiting)
	waiting.Inc()
	defer waiting.Dec()
	objects, _ := l.progress.Covered()
	return l.branches.Wait(ctx, r.Repository+"."+r.Branch, objects)
}

// landNow records an attempt, and moves the branch if it is still at the attempt's
// revision. It takes one of these steps a round.
//
// While the branch is at the attempt's revision, the attempt may land at any moment, by
// whoever recorded it, so no other attempt is made. Once the branch is at another
// revision and the attempt was never on it, the attempt is dead: it can never land, since
// no revision comes again. Only the latest head can tell that, because an older one may
// be from before the attempt landed.
//
// The attempt is recorded before the branch moves. So a driver that goes on after a crash
// can tell whether it has landed.
func (l *lander) landNow(ctx context.Context, turn *branchqueue.Turn, record imports.Record) (ended bool, err error) {
	l.dead = nil
	read, moved := l.catalog.Branch, false // moved: the branch is not where the attempt expects it
	for range maxRounds {
		head, err := l.head(ctx, record, read)
		if err != nil {
			return false, err
		}
		landed, err := l.landed(ctx, record, head)
		if err != nil {
			return false, err
		}
		if landed {
			return l.complete(ctx, record)
		}
		if record.Attempt != nil && record.Attempt.Revision == head.Revision {
			if err := l.moveBranch(ctx, record, head); err != nil {
				return false, err
			}
			continue
		}
		if record.Attempt != nil && !moved { // judged by an older head, an attempt that can land looks dead
			read, moved = l.catalog.LatestBranch, true
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

// head reads the import's branch. If the branch is gone, it is NotFound, and the attempt
// of the record is dead.
func (l *lander) head(ctx context.Context, record imports.Record, read func(ctx context.Context, repository, name string) (catalog.Branch, error)) (catalog.Branch, error) {
	head, err := read(ctx, record.Request.Repository, record.Request.Branch)
	if err == nil && head.Incarnation != record.Job.Incarnation {
		err = fault.Missing("repository") // this is another one with the same ID
	}
	if fault.Is(err, fault.NotFound) {
		l.dead = record.Attempt
	}
	return head, err
}

// moveBranch moves the branch from head to the recorded attempt, unless another process
// moves it at the same time.
func (l *lander) moveBranch(ctx context.Context, record imports.Record, head catalog.Branch) error {
	err := l.catalog.MoveBranch(ctx, record.Request.Repository, head, record.Attempt.CommitID)
	switch {
	case fault.Is(err, fault.Conflict):
		l.imp.metrics.attempts.WithLabelValues("moved").Inc()
		return nil
	case err == nil:
		l.imp.metrics.attempts.WithLabelValues("landed").Inc()
	}
	return err
}

// attempt makes the commit that replaces head, and records it in place of the record's
// attempt, which is dead. It returns the record with the attempt that counts: another
// coordinator may have been faster.
func (l *lander) attempt(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (imports.Record, error) {
	next := record
	err := l.steps.survive(ctx, func() error {
		commit, changes, err := l.commit(ctx, record, head, fold)
		if err != nil {
			return err
		}
		next, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
			return r.Commit(l.imp.now().UTC(), record.Attempt, imports.Attempt{
				CommitID: commit.ID, MetarangeID: commit.MetarangeID, Parent: head.CommitID, Revision: head.Revision,
				Created: commit.Created, Objects: fold.Objects, Ranges: fold.Ranges, Changes: changes,
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

// commit makes the commit that replaces head, and counts how their trees differ.
func (l *lander) commit(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (catalog.Commit, metarange.Changes, error) {
	repository := record.Request.Repository
	parent, err := l.catalog.Commit(ctx, repository, head.CommitID)
	if err != nil {
		return catalog.Commit{}, metarange.Changes{}, err
	}
	t, err := newTree(ctx, l.stores, record.Job, parent, fold)
	if err != nil {
		return catalog.Commit{}, metarange.Changes{}, err
	}
	id, err := metarange.WriteAll(ctx, t.files, t.ranges, t.about)
	if err != nil {
		return catalog.Commit{}, metarange.Changes{}, fmt.Errorf("storage namespace %s: %w", record.Job.Namespace, err)
	}
	metadata := map[string]string{mergeStrategy: sourceWins}
	maps.Copy(metadata, record.Request.Metadata)
	commit, err := l.catalog.AddCommit(ctx, repository, catalog.Commit{
		Committer:   record.Request.Committer,
		Message:     record.Request.Message,
		MetarangeID: id,
		Created:     l.imp.now().UTC().Truncate(time.Second),
		Metadata:    metadata,
		Parents:     []string{head.CommitID},
		Generation:  parent.Generation + 1,
	})
	return commit, t.changes, err
}

// landed reports whether the recorded attempt is on the branch, as its head or an
// ancestor, or was on it until a reset took it away. In either case the import has made
// its commit, and must not make it again.
func (l *lander) landed(ctx context.Context, record imports.Record, head catalog.Branch) (bool, error) {
	if record.Attempt == nil {
		return false, nil
	}
	repository := record.Request.Repository
	attempt, err := l.catalog.Commit(ctx, repository, record.Attempt.CommitID)
	if err != nil {
		return false, err
	}
	landed, err := l.reaches(ctx, repository, head.CommitID, attempt)
	if landed || err != nil || head.Revision == record.Attempt.Revision {
		return landed, err
	}
	dropped, err := l.catalog.DroppedHeads(ctx, repository, head)
	if err != nil {
		return false, err
	}
	for _, h := range dropped {
		if h.Revision <= record.Attempt.Revision {
			continue // it was the head before the attempt was made
		}
		if landed, err := l.reaches(ctx, repository, h.CommitID, attempt); landed || err != nil {
			return landed, err
		}
	}
	return false, nil
}

// reaches reports whether a commit is the head or an ancestor of it.
func (l *lander) reaches(ctx context.Context, repository, head string, commit catalog.Commit) (bool, error) {
	for at := head; at != ""; {
		if at == commit.ID {
			return true, nil
		}
		c, err := l.catalog.Commit(ctx, repository, at)
		if err != nil {
			return false, err
		}
		if c.Generation <= commit.Generation || len(c.Parents) == 0 {
			return false, nil
		}
		at = c.Parents[0]
	}
	return false, nil
}

// complete records that the import is on the branch.
func (l *lander) complete(ctx context.Context, record imports.Record) (ended bool, err error) {
	created := strconv.FormatInt(record.Attempt.Created.Unix(), 10)
	if err := l.catalog.SetMetadata(ctx, record.Request.Repository, map[string]string{lastImport: created}); err != nil {
		return false, err
	}
	_, err = l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Complete(l.imp.now().UTC()) })
	return err == nil, err
}
