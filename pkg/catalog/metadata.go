package catalog

import (
	"context"
	"maps"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// SetMetadata adds to the metadata of a repository, replacing values of equal
// names.
func (c *Catalog) SetMetadata(ctx context.Context, id string, metadata map[string]string) error {
	return c.records.editMetadata(ctx, id, func(all map[string]string) error {
		maps.Copy(all, metadata)
		return nil
	})
}

// EditMetadata removes names from the metadata of a repository, and then adds as SetMetadata
// does. It is an Invalid fault of metadata if names and values together would then exceed
// limits.Metadata.
func (c *Catalog) EditMetadata(ctx context.Context, id string, remove []string, add map[string]string) error {
	return c.records.editMetadata(ctx, id, func(all map[string]string) error {
		for _, name := range remove {
			delete(all, name)
		}
		maps.Copy(all, add)
		if size := (Commit{Metadata: all}).textSize(); len(add) > 0 && size > limits.Metadata {
			return fault.BadField("metadata", "the repository would have %d bytes of it, at most %d are allowed", size, limits.Metadata)
		}
		return nil
	})
}

// editMetadata calls edit with the metadata of a repository, and stores what it leaves.
func (s records) editMetadata(ctx context.Context, id string, edit func(map[string]string) error) error {
	err := kv.RetryConflicts(ctx, func() error {
		r, rev, err := s.ready(ctx, id)
		if err != nil {
			return err
		}
		if r.Metadata == nil {
			r.Metadata = make(map[string]string)
		}
		if err := edit(r.Metadata); err != nil {
			return err
		}
		_, err = s.store(ctx, repositoryRecord{r, true}, rev)
		return err
	})
	return explain(err, "set metadata of repository %q", id)
}
