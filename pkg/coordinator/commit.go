package coordinator

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Metadata that lakeFS keeps of an import.
const (
	mergeStrategy = ".lakefs.merge.strategy" // of the commit
	sourceWins    = "source-wins"
	lastImport    = ".lakefs.last.import.timestamp" // of the repository: the commit's creation date
)

// maxRounds bounds how long one step tries to land an import; a head that moves
// away under it costs two rounds.
const maxRounds = 200

// land brings the covered import onto its branch in its turn: imports of one
// branch go one after another, for each has to work on what the one before made.
func (d *driver) land(ctx context.Context) error {
	record, err := d.cfg.Imports.Get(ctx, d.id)
	if err != nil {
		return err
	}
	turn, err := d.waitForBranch(ctx, record.Request)
	if err != nil {
		return err
	}
	defer turn.Release(ctx)
	done, err := d.turn(ctx, stepCommit, d.commits, storeOf(record.Job.Namespace))
	if err != nil {
		return err
	}
	defer done()
	record, err = d.cfg.Imports.Get(ctx, d.id) // it may have been canceled while it waited
	if err != nil || record.State.Ended() {
		return err
	}
	return d.landNow(ctx, turn, record)
}

// waitForBranch waits for a turn on a branch, in this process and among coordinators.
func (d *driver) waitForBranch(ctx context.Context, r imports.Request) (*branchqueue.Turn, error) {
	waiting := d.metrics.steps.WithLabelValues(stepCommit, phaseWaiting)
	waiting.Inc()
	defer waiting.Dec()
	objects, _ := d.progress.covered()
	return d.branches.Wait(ctx, r.Repository+"."+r.Branch, objects)
}

// landNow records an attempt and moves the branch if that is still at the attempt's
// revision, a step of these a round. As long as it is, that attempt may land by
// whoever recorded it, so nobody makes another; once it is not and the attempt never
// was on the branch, it never will be, as no revision comes again: it is dead. That is
// told by the latest head alone: an older one may be that of before the attempt landed.
//
// The attempt is recorded before the branch moves, so that whoever comes after a
// crash can tell whether it had landed.
func (d *driver) landNow(ctx context.Context, turn *branchqueue.Turn, record imports.Record) error {
	repository := record.Request.Repository
	d.dead = nil
	read, outrun := d.cfg.Catalog.Branch, false // outrun by whoever moved the branch meanwhile
	for range maxRounds {
		head, err := read(ctx, repository, record.Request.Branch)
		if err == nil && head.Incarnation != record.Job.Incarnation {
			err = fault.Missing("repository") // but another one that has its ID
		}
		if fault.Is(err, fault.NotFound) {
			d.dead = record.Attempt // it was deleted, and with it the branch at whatever revision
		}
		if err != nil {
			return err
		}
		landed, err := d.landed(ctx, record, head)
		if err != nil {
			return err
		}
		if landed {
			return d.complete(ctx, record)
		}
		if record.Attempt == nil || record.Attempt.Revision != head.Revision {
			if record.Attempt != nil && !outrun { // by the head of a while ago an attempt that lives looks dead
				read, outrun = d.cfg.Catalog.LatestBranch, true
				turn.Claim(ctx)
				continue
			}
			d.dead = record.Attempt
			fold, covers := d.progress.fold()
			if !fold.Complete() {
				return d.incomplete(ctx, covers)
			}
			err = d.survive(ctx, func() (err error) {
				record, err = d.attempt(ctx, record, head, fold)
				return err
			})
			if err != nil {
				return err // canceled meanwhile, perhaps: the next step sees it
			}
			d.dead = nil
			continue
		}
		switch err = d.cfg.Catalog.MoveBranch(ctx, repository, head, record.Attempt.CommitID); {
		case fault.Is(err, fault.Conflict):
			d.metrics.attempts.WithLabelValues("moved").Inc()
		case err != nil:
			return err
		default:
			d.metrics.attempts.WithLabelValues("landed").Inc()
		}
	}
	return fmt.Errorf("commit to branch %q: its head moved %d times", record.Request.Branch, maxRounds/2)
}

// incomplete tells why an import cannot be attempted again whose driver has followed
// so many covers, which do not chain: a new driver has not seen them all yet, or, once
// it has, they are lost, and with them what is to be committed.
func (d *driver) incomplete(ctx context.Context, followed uint64) error {
	if err := d.progress.following(); err != nil {
		return err // what is missing may be there
	}
	stored, err := d.cfg.Queue.CoverCount(ctx, d.id)
	if err != nil || followed < stored {
		return err
	}
	return fmt.Errorf("commit again, as the branch has moved: the %d covers that are stored do not hold all keys any more", stored)
}

// attempt makes the commit that replaces head and records it in place of the
// record's attempt, which is dead. It returns the record with the attempt that
// counts: another coordinator may have been faster.
func (d *driver) attempt(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (imports.Record, error) {
	commit, changes, err := d.commit(ctx, record, head, fold)
	if err != nil {
		return record, err
	}
	return d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Commit(d.cfg.Now().UTC(), record.Attempt, imports.Attempt{
			CommitID: commit.ID, MetarangeID: commit.MetarangeID, Parent: head.CommitID, Revision: head.Revision,
			Created: commit.Created, Objects: fold.Objects, Ranges: fold.Ranges, Changes: changes,
		})
	})
}

// commit makes the commit that replaces head, and tells how their trees differ.
func (d *driver) commit(ctx context.Context, record imports.Record, head catalog.Branch, fold partition.Fold) (catalog.Commit, metarange.Changes, error) {
	repository := record.Request.Repository
	parent, err := d.cfg.Catalog.Commit(ctx, repository, head.CommitID)
	if err != nil {
		return catalog.Commit{}, metarange.Changes{}, err
	}
	t, err := d.tree(ctx, record.Job, parent, fold)
	if err != nil {
		return catalog.Commit{}, metarange.Changes{}, err
	}
	id, err := metarange.WriteAll(ctx, t.files, t.ranges, t.about)
	if err != nil {
		return catalog.Commit{}, metarange.Changes{}, fmt.Errorf("storage namespace %s: %w", record.Job.Namespace, err)
	}
	metadata := map[string]string{mergeStrategy: sourceWins}
	maps.Copy(metadata, record.Request.Metadata)
	commit, err := d.cfg.Catalog.AddCommit(ctx, repository, catalog.Commit{
		Committer:   record.Request.Committer,
		Message:     record.Request.Message,
		MetarangeID: id,
		Created:     d.cfg.Now().UTC().Truncate(time.Second),
		Metadata:    metadata,
		Parents:     []string{head.CommitID},
		Generation:  parent.Generation + 1,
	})
	return commit, t.changes, err
}

// landed reports whether the recorded attempt is on the branch, as its head or below
// it, or was until a reset took it away: the import has made its commit in either case,
// and must not make it again.
func (d *driver) landed(ctx context.Context, record imports.Record, head catalog.Branch) (bool, error) {
	if record.Attempt == nil {
		return false, nil
	}
	repository := record.Request.Repository
	attempt, err := d.cfg.Catalog.Commit(ctx, repository, record.Attempt.CommitID)
	if err != nil {
		return false, err
	}
	landed, err := d.below(ctx, repository, attempt, head.CommitID)
	if landed || err != nil || head.Revision == record.Attempt.Revision {
		return landed, err
	}
	dropped, err := d.cfg.Catalog.DroppedHeads(ctx, repository, head)
	if err != nil {
		return false, err
	}
	for _, h := range dropped {
		if h.Revision <= record.Attempt.Revision {
			continue // it was the head before there was the attempt
		}
		if landed, err := d.below(ctx, repository, attempt, h.CommitID); landed || err != nil {
			return landed, err
		}
	}
	return false, nil
}

// below reports whether a commit is the head or an ancestor of it.
func (d *driver) below(ctx context.Context, repository string, commit catalog.Commit, head string) (bool, error) {
	for at := head; at != ""; {
		if at == commit.ID {
			return true, nil
		}
		c, err := d.cfg.Catalog.Commit(ctx, repository, at)
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
func (d *driver) complete(ctx context.Context, record imports.Record) error {
	created := strconv.FormatInt(record.Attempt.Created.Unix(), 10)
	if err := d.cfg.Catalog.SetMetadata(ctx, record.Request.Repository, map[string]string{lastImport: created}); err != nil {
		return err
	}
	_, err := d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Complete(d.cfg.Now().UTC())
	})
	d.over = err == nil
	return err
}

// files opens a storage namespace.
func (s *Service) files(ctx context.Context, uri string) (*namespace.Files, error) {
	return namespace.Open(ctx, s.cfg.Stores, uri)
}
