package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// DeleteRepository deletes a repository with its branches, tags and commits, or returns a NotFound
// fault. One write deletes it: from then on the ID and the namespace are free. Afterwards
// its branches, tags and commits are removed. If that fails, Sweep or the next CreateRepository
// with the ID removes them. Nothing in the object store is touched. If the record of the
// repository cannot be decoded, only the record is removed.
func (c *Catalog) DeleteRepository(ctx context.Context, id string) error {
	var dead repositoryRecord
	var rev uint64
	err := kv.RetryConflicts(ctx, func() error {
		r, old, err := c.records.ready(ctx, id)
		if fault.Is(err, fault.Broken) {
			return c.records.bucket.Delete(ctx, repositoryKey(id), old) // its root is unknown
		}
		if err != nil {
			return err
		}
		dead = tombstone(r)
		rev, err = c.records.bury(ctx, repositoryRecord{r, true}, old)
		return err
	})
	if err == nil && rev > 0 {
		_ = c.records.remove(ctx, dead, rev) // it is deleted already; Sweep tries again
	}
	return explain(err, "delete repository %q", id)
}

// Sweep removes what is left of repositories whose deletion or creation was not finished,
// since the process died.
func (c *Catalog) Sweep(ctx context.Context) error {
	keys, err := c.records.bucket.Keys(ctx, repositoryKey(""))
	if err != nil {
		return fmt.Errorf("look for remains of repositories: %w", err)
	}
	var errs []error
	for _, key := range keys {
		r, rev, err := read[repositoryRecord](ctx, c.records.bucket.Get, key)
		abandoned := !r.Ready && (r.dead() || c.records.now().Sub(r.Created) > reservation)
		switch {
		case errors.Is(err, kv.ErrNotFound):
			continue
		case err == nil && abandoned:
			err = c.records.remove(ctx, r, rev)
		}
		if err != nil && !errors.Is(err, kv.ErrConflict) { // a conflict: a new repository took the ID
			errs = append(errs, fmt.Errorf("remove what is left under %q: %w", key, err))
		}
	}
	return errors.Join(errs...)
}
