package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// DeleteRepository deletes a repository with its branches and commits, or returns a NotFound
// fault. One write deletes it: from then on the ID and the namespace are free. Afterwards
// its branches and commits are removed. If that fails, Sweep or the next CreateRepository
// with the ID removes them. Nothing in the object store is touched. If the record of the
// repository cannot be decoded, only the record is removed.
func (c *Catalog) DeleteRepository(ctx context.Context, id string) error {
	var dead repositoryRecord
	var rev uint64
	err := kv.RetryConflicts(ctx, func() error {
		r, old, err := c.ready(ctx, id)
		if fault.Is(err, fault.Broken) {
			return c.bucket.Delete(ctx, repositoryKey(id), old) // its root is unknown
		}
		if err != nil {
			return err
		}
		dead = tombstone(r)
		rev, err = c.bury(ctx, repositoryRecord{r, true}, old)
		return err
	})
	if errors.Is(err, kv.ErrNotFound) {
		return fault.Missing("repository")
	}
	if err != nil {
		return fmt.Errorf("delete repository %q: %w", id, err)
	}
	if rev > 0 {
		_ = c.remove(ctx, dead, rev) // it is deleted already; Sweep tries again
	}
	return nil
}

// Sweep removes what is left of repositories whose deletion or creation was not finished,
// since the process died.
func (c *Catalog) Sweep(ctx context.Context) error {
	keys, err := c.bucket.Keys(ctx, repositoryKey(""))
	if err != nil {
		return fmt.Errorf("look for remains of repositories: %w", err)
	}
	var errs []error
	for _, key := range keys {
		r, rev, err := read[repositoryRecord](ctx, c.bucket.Get, key)
		abandoned := !r.Ready && (r.dead() || c.now().Sub(r.Created) > reservation)
		switch {
		case errors.Is(err, kv.ErrNotFound):
			continue
		case err == nil && abandoned:
			err = c.remove(ctx, r, rev)
		}
		if err != nil && !errors.Is(err, kv.ErrConflict) { // a conflict: a new repository took the ID
			errs = append(errs, fmt.Errorf("remove what is left under %q: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// tombstone returns the record of a dead repository.
func tombstone(r Repository) repositoryRecord {
	return repositoryRecord{Repository: Repository{ID: r.ID, Incarnation: r.Incarnation}}
}

// bury replaces a record, which has the revision, by a tombstone.
func (c *Catalog) bury(ctx context.Context, r repositoryRecord, rev uint64) (uint64, error) {
	if r.dead() {
		return rev, nil
	}
	return c.store(ctx, tombstone(r.Repository), rev)
}

// clear removes the branches and commits of a dead repository.
func (c *Catalog) clear(ctx context.Context, r Repository) error {
	return errors.Join(
		c.bucket.Purge(ctx, branchKey(r.root(), "")),
		c.bucket.Purge(ctx, commitKey(r.root(), "")),
		c.bucket.Purge(ctx, droppedKey(r.root(), "")),
	)
}

// remove removes a repository that is not visible. Its record, which has the revision, is
// removed last.
func (c *Catalog) remove(ctx context.Context, r repositoryRecord, rev uint64) error {
	rev, err := c.bury(ctx, r, rev)
	if err != nil {
		return err
	}
	if err := c.clear(ctx, r.Repository); err != nil {
		return err
	}
	return c.bucket.Delete(ctx, repositoryKey(r.ID), rev)
}
