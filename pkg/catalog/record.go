package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// records is the records of repositories: from a reservation to a repository that is visible,
// and to a tombstone.
type records struct {
	bucket kv.Bucket
	now    func() time.Time
}

// repositoryRecord is a repository as it is stored. It is visible to readers once it is
// ready. Before that, it is a reservation of its ID and its namespace. A record without a
// namespace is dead: the repository was deleted or given up. A dead record reserves
// nothing and never becomes ready; it names the root under which there may be something to
// remove.
type repositoryRecord struct {
	Repository
	Ready bool `json:"ready"`
}

func (r repositoryRecord) dead() bool { return r.StorageNamespace == "" }

// reservation is how long a record that is not ready keeps its namespace. Its ID can be
// taken over at once.
const reservation = time.Minute

// ready returns a repository that is visible, or a NotFound fault.
func (s records) ready(ctx context.Context, id string) (Repository, uint64, error) {
	if !validRepository.MatchString(id) {
		return Repository{}, 0, fault.Missing("repository")
	}
	r, rev, err := read[repositoryRecord](ctx, s.bucket.Get, repositoryKey(id))
	if err == nil && !r.Ready { // it may be ready by now
		r, rev, err = read[repositoryRecord](ctx, s.bucket.GetLinearized, repositoryKey(id))
	}
	if errors.Is(err, kv.ErrNotFound) || err == nil && !r.Ready {
		return Repository{}, 0, fault.Missing("repository")
	}
	return r.Repository, rev, err
}

// create reserves the ID and the namespace, stores the default branch, and makes the
// repository visible. Of two calls that reserve overlapping namespaces at least one sees
// the other, since each checks after it has reserved. Until the repository is visible, all
// is stored under an incarnation that only this call uses.
func (s records) create(ctx context.Context, r Repository, namespace objectstore.URI) error {
	rev, err := s.reserve(ctx, r)
	if err != nil {
		return err
	}
	if err := s.checkOverlaps(ctx, r.ID, namespace); err != nil {
		_ = s.remove(ctx, repositoryRecord{Repository: r}, rev) // if that fails, the reservation expires
		return err
	}
	if err := (history{s.bucket, r}).createDefaultBranch(ctx); err != nil {
		return err
	}
	_, err = s.store(ctx, repositoryRecord{r, true}, rev)
	if errors.Is(err, kv.ErrConflict) {
		return s.resolveConflict(ctx, r)
	}
	return err
}

// resolveConflict returns whether a call succeeded although its last write was in conflict.
// Either another call took over the reservation, or the write was done, its answer was lost,
// and the record has changed since.
func (s records) resolveConflict(ctx context.Context, r Repository) error {
	now, _, err := read[repositoryRecord](ctx, s.bucket.GetLinearized, repositoryKey(r.ID))
	switch {
	case err != nil && !errors.Is(err, kv.ErrNotFound):
		return err
	case err == nil && now.Ready && now.Incarnation == r.Incarnation:
		return nil
	}
	_ = s.clear(ctx, r) // the other call may have cleared before this one stored
	return fault.Conflicting("repository %q is being created by somebody else", r.ID)
}

// reservable checks that no repository has an ID. It returns the record that a deleted or
// unfinished one left, and its revision, 0 if there is none.
func (s records) reservable(ctx context.Context, id string) (old repositoryRecord, rev uint64, err error) {
	old, rev, err = read[repositoryRecord](ctx, s.bucket.Get, repositoryKey(id))
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return repositoryRecord{}, 0, nil
	case err == nil && old.Ready:
		return old, 0, fault.Conflicting("repository %q exists already", id)
	}
	return old, rev, err
}

// reserve stores a reservation, after removing what a deleted or unfinished repository left.
func (s records) reserve(ctx context.Context, r Repository) (rev uint64, err error) {
	old, rev, err := s.reservable(ctx, r.ID)
	if err == nil && rev != 0 {
		if rev, err = s.bury(ctx, old, rev); err == nil {
			err = s.clear(ctx, old.Repository)
		}
	}
	if err == nil {
		rev, err = s.store(ctx, repositoryRecord{Repository: r}, rev)
	}
	if errors.Is(err, kv.ErrConflict) {
		err = fault.Conflicting("repository %q is being created by somebody else", r.ID)
	}
	return rev, err
}

// checkOverlaps refuses a namespace that overlaps that of another repository, which the fault does not
// name: the caller may not see it. While NATS
// elects a leader it may miss one that was reserved a moment ago, since its reads may be
// out of date. That harms neither repository: files are named by the hash of their content
// and never deleted. So a linearizable read, which takes a write, is not worth its cost.
func (s records) checkOverlaps(ctx context.Context, id string, namespace objectstore.URI) error {
	keys, err := s.bucket.Keys(ctx, repositoryKey(""))
	if err != nil {
		return err
	}
	for _, key := range keys {
		other, rev, err := read[repositoryRecord](ctx, s.bucket.Get, key)
		if errors.Is(err, kv.ErrNotFound) || err == nil && (other.ID == id || other.dead()) {
			continue
		}
		if fault.Is(err, fault.Broken) {
			continue // Repositories reports it
		}
		if err != nil {
			return err
		}
		taken, err := normalNamespace(other.StorageNamespace)
		if err != nil {
			return fmt.Errorf("storage namespace of repository %q: %w", other.ID, err)
		}
		if !overlap(namespace, taken) {
			continue
		}
		if !other.Ready && s.now().Sub(other.Created) > reservation {
			// Its process has died, or its last write will be in conflict.
			if _, err = s.bury(ctx, other, rev); err == nil {
				continue
			}
			if !errors.Is(err, kv.ErrConflict) {
				return err
			}
		}
		return fault.BadField("storage_namespace", "%q overlaps that of another repository", namespace)
	}
	return nil
}

// store writes a record as put does.
func (s records) store(ctx context.Context, r repositoryRecord, rev uint64) (uint64, error) {
	return put(ctx, s.bucket, repositoryKey(r.ID), r, rev)
}

// tombstone returns the record of a dead repository.
func tombstone(r Repository) repositoryRecord {
	return repositoryRecord{Repository: Repository{ID: r.ID, Incarnation: r.Incarnation}}
}

// bury replaces a record, which has the revision, by a tombstone.
func (s records) bury(ctx context.Context, r repositoryRecord, rev uint64) (uint64, error) {
	if r.dead() {
		return rev, nil
	}
	return s.store(ctx, tombstone(r.Repository), rev)
}

// clear removes the branches, tags and commits of a dead repository.
func (s records) clear(ctx context.Context, r Repository) error {
	return errors.Join(
		s.bucket.Purge(ctx, branchKey(r.root(), "")),
		s.bucket.Purge(ctx, tagKey(r.root(), "")),
		s.bucket.Purge(ctx, commitKey(r.root(), "")),
		s.bucket.Purge(ctx, droppedKey(r.root(), "")),
	)
}

// remove removes a repository that is not visible. Its record, which has the revision, is
// removed last.
func (s records) remove(ctx context.Context, r repositoryRecord, rev uint64) error {
	rev, err := s.bury(ctx, r, rev)
	if err != nil {
		return err
	}
	if err := s.clear(ctx, r.Repository); err != nil {
		return err
	}
	return s.bucket.Delete(ctx, repositoryKey(r.ID), rev)
}
