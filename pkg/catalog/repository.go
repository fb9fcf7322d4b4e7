package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

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

// firstMessage is the message of the commit that a default branch starts with.
const firstMessage = "Repository created"

// Repository returns a repository, or a NotFound fault.
func (c *Catalog) Repository(ctx context.Context, id string) (Repository, error) {
	r, _, err := c.ready(ctx, id)
	if errors.Is(err, kv.ErrNotFound) {
		return Repository{}, fault.Missing("repository")
	}
	if err != nil {
		return Repository{}, fmt.Errorf("read repository %q: %w", id, err)
	}
	return r, nil
}

// ready returns a repository that is visible, or kv.ErrNotFound.
func (c *Catalog) ready(ctx context.Context, id string) (Repository, uint64, error) {
	if !validRepository.MatchString(id) {
		return Repository{}, 0, kv.ErrNotFound
	}
	r, rev, err := read[repositoryRecord](ctx, c.bucket.Get, repositoryKey(id))
	if err == nil && !r.Ready { // it may be ready by now
		r, rev, err = read[repositoryRecord](ctx, c.bucket.GetLinearized, repositoryKey(id))
	}
	if err == nil && !r.Ready {
		err = kv.ErrNotFound
	}
	return r.Repository, rev, err
}

// Repositories returns up to amount, at least 1, repositories whose IDs have the prefix and
// follow `after`, ordered by ID, and whether there are more. A repository whose record
// cannot be decoded has a Problem.
func (c *Catalog) Repositories(ctx context.Context, prefix, after string, amount int) (page []Repository, more bool, err error) {
	page, more, err = list(ctx, c.bucket, repositoryKey(""), prefix, after, amount, func(id string) (Repository, error) {
		r, _, err := read[repositoryRecord](ctx, c.bucket.Get, repositoryKey(id))
		switch {
		case fault.Is(err, fault.Broken):
			return Repository{ID: id, Problem: err.Error()}, nil
		case err == nil && !r.Ready:
			err = kv.ErrNotFound
		}
		return r.Repository, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list repositories: %w", err)
	}
	return page, more, nil
}

// SetMetadata adds to the metadata of a repository, replacing values of equal
// names.
func (c *Catalog) SetMetadata(ctx context.Context, id string, metadata map[string]string) error {
	err := kv.RetryConflicts(ctx, func() error {
		r, rev, err := c.ready(ctx, id)
		if err != nil {
			return err
		}
		if r.Metadata == nil {
			r.Metadata = make(map[string]string, len(metadata))
		}
		maps.Copy(r.Metadata, metadata)
		_, err = c.store(ctx, repositoryRecord{r, true}, rev)
		return err
	})
	if errors.Is(err, kv.ErrNotFound) {
		return fault.Missing("repository")
	}
	if err != nil {
		return fmt.Errorf("set metadata of repository %q: %w", id, err)
	}
	return nil
}

// CheckRepository returns the fault that CreateRepository would return now. It reserves
// nothing, so CreateRepository may still return another one.
func (c *Catalog) CheckRepository(ctx context.Context, r Repository) error {
	namespace, err := checkFields(r)
	if err != nil {
		return err
	}
	if _, _, err = c.reservable(ctx, r.ID); err == nil {
		err = c.checkOverlaps(ctx, r.ID, namespace)
	}
	return creating(r.ID, err)
}

// CreateRepository creates a repository with its default branch. It sets Created and
// Incarnation. An earlier call that was not finished, since its process died, does not
// prevent it. Faults are Invalid (name, storage_namespace, default_branch) and Conflict.
func (c *Catalog) CreateRepository(ctx context.Context, r Repository) (Repository, error) {
	namespace, err := checkFields(r)
	if err != nil {
		return Repository{}, err
	}
	r.StorageNamespace = namespace.String()
	r.Created, r.Incarnation = c.now().UTC().Truncate(time.Second), xid.New().String()
	if err := c.create(ctx, r, namespace); err != nil {
		return Repository{}, creating(r.ID, err)
	}
	return r, nil
}

// checkFields checks the fields of a new repository, and returns its namespace.
func checkFields(r Repository) (namespace objectstore.URI, err error) {
	if !validRepository.MatchString(r.ID) {
		return namespace, fault.BadField("name", "%q is not a valid repository ID: want 3 to 63 of a-z, 0-9 and '-', not starting with '-'", r.ID)
	}
	if err := checkBranchName("default_branch", r.DefaultBranch); err != nil {
		return namespace, err
	}
	if namespace, err = normalNamespace(r.StorageNamespace); err != nil {
		return namespace, fault.BadField("storage_namespace", "%s", err)
	}
	return namespace, nil
}

// creating adds to an error what failed, unless it is a fault.
func creating(id string, err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	return fmt.Errorf("create repository %q: %w", id, err)
}

// create reserves the ID and the namespace, stores the default branch, and makes the
// repository visible. Of two calls that reserve overlapping namespaces at least one sees
// the other, since each checks after it has reserved. Until the repository is visible, all
// is stored under an incarnation that only this call uses.
func (c *Catalog) create(ctx context.Context, r Repository, namespace objectstore.URI) error {
	rev, err := c.reserve(ctx, r)
	if err != nil {
		return err
	}
	if err := c.checkOverlaps(ctx, r.ID, namespace); err != nil {
		_ = c.remove(ctx, repositoryRecord{Repository: r}, rev) // if that fails, the reservation expires
		return err
	}
	if err := c.createDefaultBranch(ctx, r); err != nil {
		return err
	}
	_, err = c.store(ctx, repositoryRecord{r, true}, rev)
	if errors.Is(err, kv.ErrConflict) {
		return c.resolveConflict(ctx, r)
	}
	return err
}

// resolveConflict returns how a call ended whose last write was in conflict. Either another
// call took over the reservation; or the write was done, its answer was lost, and the
// record was changed since.
func (c *Catalog) resolveConflict(ctx context.Context, r Repository) error {
	now, _, err := read[repositoryRecord](ctx, c.bucket.GetLinearized, repositoryKey(r.ID))
	switch {
	case err != nil && !errors.Is(err, kv.ErrNotFound):
		return err
	case err == nil && now.Ready && now.Incarnation == r.Incarnation:
		return nil
	}
	_ = c.clear(ctx, r) // the other call may have cleared before this one stored
	return fault.Conflicting("repository %q is being created by somebody else", r.ID)
}

// reservable checks that no repository has an ID. It returns the record that a deleted or
// unfinished one left, and its revision, 0 if there is none.
func (c *Catalog) reservable(ctx context.Context, id string) (old repositoryRecord, rev uint64, err error) {
	old, rev, err = read[repositoryRecord](ctx, c.bucket.Get, repositoryKey(id))
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return repositoryRecord{}, 0, nil
	case err == nil && old.Ready:
		return old, 0, fault.Conflicting("repository %q exists already", id)
	}
	return old, rev, err
}

// reserve stores a reservation, after removing what a deleted or unfinished repository left.
func (c *Catalog) reserve(ctx context.Context, r Repository) (rev uint64, err error) {
	old, rev, err := c.reservable(ctx, r.ID)
	if err == nil && rev != 0 {
		if rev, err = c.bury(ctx, old, rev); err == nil {
			err = c.clear(ctx, old.Repository)
		}
	}
	if err == nil {
		rev, err = c.store(ctx, repositoryRecord{Repository: r}, rev)
	}
	if errors.Is(err, kv.ErrConflict) {
		err = fault.Conflicting("repository %q is being created by somebody else", r.ID)
	}
	return rev, err
}

// checkOverlaps refuses a namespace that overlaps that of another repository. While NATS
// elects a leader it may miss one that was reserved a moment ago, since its reads may be
// out of date. That harms neither repository: files are named by the hash of their content
// and never deleted. So a linearizable read, which takes a write, is not worth its cost.
func (c *Catalog) checkOverlaps(ctx context.Context, id string, namespace objectstore.URI) error {
	keys, err := c.bucket.Keys(ctx, repositoryKey(""))
	if err != nil {
		return err
	}
	for _, key := range keys {
		other, rev, err := read[repositoryRecord](ctx, c.bucket.Get, key)
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
		if !other.Ready && c.now().Sub(other.Created) > reservation {
			// Its process has died, or its last write will be in conflict.
			if _, err = c.bury(ctx, other, rev); err == nil {
				continue
			}
			if !errors.Is(err, kv.ErrConflict) {
				return err
			}
		}
		return fault.BadField("storage_namespace", "%q overlaps that of repository %q: %q", namespace, other.ID, taken)
	}
	return nil
}

// createDefaultBranch stores the first commit, and a branch that points at it.
func (c *Catalog) createDefaultBranch(ctx context.Context, r Repository) error {
	first, err := c.addCommit(ctx, r, Commit{Message: firstMessage, Created: r.Created, Generation: 1})
	if err != nil {
		return err
	}
	_, err = c.bucket.Create(ctx, branchKey(r.root(), r.DefaultBranch), []byte(first.ID))
	return err
}

// store writes a record. It replaces the revision, or nothing if that is 0.
func (c *Catalog) store(ctx context.Context, r repositoryRecord, rev uint64) (uint64, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode repository %q: %w", r.ID, err)
	}
	if rev == 0 {
		return c.bucket.Create(ctx, repositoryKey(r.ID), data)
	}
	return c.bucket.Update(ctx, repositoryKey(r.ID), data, rev)
}

// normalNamespace parses a namespace, so that equal directories have equal URIs.
func normalNamespace(s string) (objectstore.URI, error) {
	uri, err := objectstore.ParseURI(s)
	uri.Key = strings.Trim(uri.Key, "/") // as package namespace reads it
	return uri, err
}

// overlap reports whether one of two directories is, or contains, the other.
func overlap(a, b objectstore.URI) bool {
	for _, u := range []*objectstore.URI{&a, &b} {
		if u.Key != "" {
			u.Key += "/"
		}
	}
	return a.Contains(b) || b.Contains(a)
}
