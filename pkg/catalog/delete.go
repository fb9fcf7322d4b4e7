package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// DeleteRepository deletes a repository with its branches and commits, or is a NotFound
// fault. One write does it: from then on the ID and the namespace are free. What the
// repository held is removed after that; if it cannot be now, the next call of
// CreateRepository for the ID removes it, or Sweep. Nothing in the store is touched. Of
// one whose record cannot be decoded, that alone is removed.
func (c *Catalog) DeleteRepository(ctx context.Context, id string) error {
	var dead repositoryRecord
	var rev uint64
	err := queue.Contend(ctx, func() error {
		r, old, err := c.ready(ctx, id)
		if fault.Is(err, fault.Broken) {
			return c.kv.Delete(ctx, repositoryKey(id), old) // nobody can tell what it held
		}
		if err != nil {
			return err
		}
		dead = tombstone(r)
		rev, err = c.bury(ctx, repositoryRecord{r, true}, old)
		return err
	})
	if errors.Is(err, queue.ErrNotFound) {
		return fault.Missing("repository")
	}
	if err != nil {
		return fmt.Errorf("delete repository %q: %w", id, err)
	}
	if rev > 0 {
		_ = c.remove(ctx, dead, rev) // see above: it is deleted
	}
	return nil
}

// Sweep removes what is left of repositories that were deleted, or whose creation was
// given up, by processes that ended on the way.
func (c *Catalog) Sweep(ctx context.Context) error {
	keys, err := c.kv.Keys(ctx, repositoryKey(""))
	if err != nil {
		return fmt.Errorf("look for remains of repositories: %w", err)
	}
	var errs []error
	for _, key := range keys {
		r, rev, err := read[repositoryRecord](ctx, c.kv.Get, key)
		abandoned := !r.Ready && (r.dead() || c.now().Sub(r.Created) > reservation)
		switch {
		case errors.Is(err, queue.ErrNotFound):
			continue
		case err == nil && abandoned:
			err = c.remove(ctx, r, rev)
		}
		if err != nil && !errors.Is(err, queue.ErrConflict) { // with a new one of its ID
			errs = append(errs, fmt.Errorf("remove what is left under %q: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// tombstone is the record of a dead repository.
func tombstone(r Repository) repositoryRecord {
	return repositoryRecord{Repository: Repository{ID: r.ID, Incarnation: r.Incarnation}}
}

// bury makes a record that has the revision a tombstone.
func (c *Catalog) bury(ctx context.Context, r repositoryRecord, rev uint64) (uint64, error) {
	if r.dead() {
		return rev, nil
	}
	return c.store(ctx, tombstone(r.Repository), rev)
}

// clear removes what a dead repository holds.
func (c *Catalog) clear(ctx context.Context, r Repository) error {
	return errors.Join(
		c.kv.Purge(ctx, branchKey(r.root(), "")),
		c.kv.Purge(ctx, commitKey(r.root(), "")),
		c.kv.Purge(ctx, droppedKey(r.root(), "")),
	)
}

// remove removes a repository that nobody sees, its record, which has the revision, last.
func (c *Catalog) remove(ctx context.Context, r repositoryRecord, rev uint64) error {
	rev, err := c.bury(ctx, r, rev)
	if err != nil {
		return err
	}
	if err := c.clear(ctx, r.Repository); err != nil {
		return err
	}
	return c.kv.Delete(ctx, repositoryKey(r.ID), rev)
}
