package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// repositoryRecord is a repository as it is stored. Until it is ready it is a
// reservation of its ID and its namespace, which readers do not see. One
// without a namespace was given up and reserves nothing.
type repositoryRecord struct {
	Repository
	Ready bool `json:"ready"`
}

// reservation is how long one that makes no progress keeps its namespace. Its
// ID can be taken over at once.
const reservation = time.Minute

// firstMessage is the message of the commit that a default branch starts with.
const firstMessage = "Repository created"

// Repository returns a repository, or a NotFound fault.
func (c *Catalog) Repository(ctx context.Context, id string) (Repository, error) {
	r, _, err := c.ready(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return Repository{}, fault.Missing("repository")
	}
	if err != nil {
		return Repository{}, fmt.Errorf("read repository %q: %w", id, err)
	}
	return r, nil
}

// ready returns a repository that is visible, or queue.ErrNotFound.
func (c *Catalog) ready(ctx context.Context, id string) (Repository, uint64, error) {
	if !validRepository.MatchString(id) {
		return Repository{}, 0, queue.ErrNotFound
	}
	r, rev, err := read[repositoryRecord](ctx, c.kv.Get, repositoryKey(id))
	if err == nil && !r.Ready { // by now it may be
		r, rev, err = read[repositoryRecord](ctx, c.kv.Latest, repositoryKey(id))
	}
	if err == nil && !r.Ready {
		err = queue.ErrNotFound
	}
	return r.Repository, rev, err
}

// Repositories returns up to amount, at least 1, repositories whose IDs have the
// prefix and lie after `after`, ordered by ID, and whether there are more.
func (c *Catalog) Repositories(ctx context.Context, prefix, after string, amount int) (page []Repository, more bool, err error) {
	page, more, err = list(ctx, c.kv, repositoryKey(""), prefix, after, amount, func(id string) (Repository, error) {
		r, _, err := read[repositoryRecord](ctx, c.kv.Get, repositoryKey(id))
		if err == nil && !r.Ready {
			err = queue.ErrNotFound
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
	err := queue.Contend(ctx, func() error {
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
	if errors.Is(err, queue.ErrNotFound) {
		return fault.Missing("repository")
	}
	if err != nil {
		return fmt.Errorf("set metadata of repository %q: %w", id, err)
	}
	return nil
}

// CheckRepository refuses what CreateRepository would refuse now. It reserves nothing:
// by the time that the repository is created, another one may be in the way.
func (c *Catalog) CheckRepository(ctx context.Context, r Repository) error {
	namespace, err := checkFields(r)
	if err != nil {
		return err
	}
	if _, err = c.reservable(ctx, r.ID); err == nil {
		err = c.checkOverlaps(ctx, r.ID, namespace)
	}
	return creating(r.ID, err)
}

// CreateRepository makes a repository with its default branch. It sets Created.
// What an earlier call left half done, because its process ended, is no
// hindrance. Faults are Invalid (name, storage_namespace, default_branch) and
// Conflict.
func (c *Catalog) CreateRepository(ctx context.Context, r Repository) (Repository, error) {
	namespace, err := checkFields(r)
	if err != nil {
		return Repository{}, err
	}
	r.StorageNamespace = namespace.String()
	r.Created = c.now().UTC().Truncate(time.Second)
	if err := c.create(ctx, r, namespace); err != nil {
		return Repository{}, creating(r.ID, err)
	}
	return r, nil
}

// checkFields refuses what no repository can be, and reads its namespace.
func checkFields(r Repository) (namespace objectstore.URI, err error) {
	if !validRepository.MatchString(r.ID) {
		return namespace, fault.BadField("name", "%q is no valid repository ID: want 3 to 63 of a-z, 0-9 and '-', not starting with '-'", r.ID)
	}
	if err := checkBranchName("default_branch", r.DefaultBranch); err != nil {
		return namespace, err
	}
	if namespace, err = normalNamespace(r.StorageNamespace); err != nil {
		return namespace, fault.BadField("storage_namespace", "%s", err)
	}
	return namespace, nil
}

// creating says what failed, unless it is a fault.
func creating(id string, err error) error {
	var f *fault.Fault
	if err == nil || errors.As(err, &f) {
		return err
	}
	return fmt.Errorf("create repository %q: %w", id, err)
}

// create reserves the ID and the namespace, stores what the repository starts
// with, and makes it visible. Two that reserve namespaces that overlap see each
// other, whoever comes first, because each looks after it has reserved.
func (c *Catalog) create(ctx context.Context, r Repository, namespace objectstore.URI) error {
	rev, err := c.reserve(ctx, r)
	if err != nil {
		return err
	}
	if err := c.checkOverlaps(ctx, r.ID, namespace); err != nil {
		_, _ = c.store(ctx, repositoryRecord{Repository: Repository{ID: r.ID}}, rev) // else it ends by itself
		return err
	}
	branch, err := c.createDefaultBranch(ctx, r, rev)
	if err == nil {
		_, err = c.store(ctx, repositoryRecord{r, true}, rev)
		if errors.Is(err, queue.ErrConflict) {
			c.takeBack(ctx, r, branch)
		}
	}
	if errors.Is(err, queue.ErrConflict) {
		return fault.Conflicting("repository %q is being created by somebody else", r.ID)
	}
	return err
}

// reservable returns the revision of the record of an ID that no repository has.
func (c *Catalog) reservable(ctx context.Context, id string) (rev uint64, err error) {
	old, rev, err := read[repositoryRecord](ctx, c.kv.Get, repositoryKey(id))
	switch {
	case err == nil && old.Ready:
		return 0, fault.Conflicting("repository %q exists already", id)
	case err != nil && !errors.Is(err, queue.ErrNotFound):
		return 0, err
	}
	return rev, nil
}

func (c *Catalog) reserve(ctx context.Context, r Repository) (rev uint64, err error) {
	if rev, err = c.reservable(ctx, r.ID); err != nil {
		return 0, err
	}
	rev, err = c.store(ctx, repositoryRecord{Repository: r}, rev)
	if errors.Is(err, queue.ErrConflict) {
		return 0, fault.Conflicting("repository %q is being created by somebody else", r.ID)
	}
	return rev, err
}

// checkOverlaps refuses a namespace that shares a directory with another one's. While
// NATS elects a leader it may miss one that was reserved a moment ago, as it reads what a
// server knew. Neither repository loses anything by that: a file has the hash of its
// content for a name, and none is ever deleted. So it takes no write to make sure.
func (c *Catalog) checkOverlaps(ctx context.Context, id string, namespace objectstore.URI) error {
	keys, err := c.kv.Keys(ctx, repositoryKey(""))
	if err != nil {
		return err
	}
	for _, key := range keys {
		other, rev, err := read[repositoryRecord](ctx, c.kv.Get, key)
		if errors.Is(err, queue.ErrNotFound) || err == nil && (other.ID == id || other.StorageNamespace == "") {
			continue
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
			// Its process has died, or will meet a conflict at its last step.
			_, err = c.store(ctx, repositoryRecord{Repository: Repository{ID: other.ID}}, rev)
			if err == nil {
				continue
			}
			if !errors.Is(err, queue.ErrConflict) {
				return err
			}
		}
		return fault.BadField("storage_namespace", "%q overlaps that of repository %q: %q", namespace, other.ID, taken)
	}
	return nil
}

// createDefaultBranch leaves no other branch: a call that was given up may have
// made one of another name. It is queue.ErrConflict if somebody else has taken over
// the reservation, which had the revision: what branches are then is theirs. Hence
// the order: their revisions are read while the repository is not ready for sure,
// and what has another one later is left alone. It returns the revision of the branch.
func (c *Catalog) createDefaultBranch(ctx context.Context, r Repository, reserved uint64) (rev uint64, err error) {
	first, err := c.AddCommit(ctx, r.ID, Commit{Message: firstMessage, Created: r.Created, Generation: 1})
	if err != nil {
		return 0, err
	}
	branches, err := c.revisions(ctx, branchKey(r.ID, ""))
	if err != nil {
		return 0, err
	}
	_, rev, err = c.kv.Latest(ctx, repositoryKey(r.ID))
	if err == nil && rev != reserved {
		err = queue.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	main := branchKey(r.ID, r.DefaultBranch)
	for key, rev := range branches {
		if key == main {
			continue
		}
		if err := c.kv.Delete(ctx, key, rev); err != nil {
			return 0, err
		}
	}
	if rev, ok := branches[main]; ok {
		return c.kv.Update(ctx, main, []byte(first.ID), rev)
	}
	return c.kv.Create(ctx, main, []byte(first.ID))
}

// takeBack removes the default branch of a call that stood still until somebody else
// took over its reservation. Who uses a branch of that name by now has written it since,
// at another revision. But for the conflict the repository may be this call's after all:
// an answer was lost, and then the record was changed.
func (c *Catalog) takeBack(ctx context.Context, r Repository, branch uint64) {
	now, _, err := read[repositoryRecord](ctx, c.kv.Latest, repositoryKey(r.ID))
	if err == nil && now.DefaultBranch != r.DefaultBranch {
		_ = c.kv.Delete(ctx, branchKey(r.ID, r.DefaultBranch), branch)
	}
}

// revisions returns those of the keys that start with base.
func (c *Catalog) revisions(ctx context.Context, base string) (map[string]uint64, error) {
	keys, err := c.kv.Keys(ctx, base)
	if err != nil {
		return nil, err
	}
	of := make(map[string]uint64, len(keys))
	for _, key := range keys {
		_, rev, err := c.kv.Get(ctx, key)
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		of[key] = rev
	}
	return of, nil
}

// store writes a record at the revision, 0 for none.
func (c *Catalog) store(ctx context.Context, r repositoryRecord, rev uint64) (uint64, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("encode repository %q: %w", r.ID, err)
	}
	if rev == 0 {
		return c.kv.Create(ctx, repositoryKey(r.ID), data)
	}
	return c.kv.Update(ctx, repositoryKey(r.ID), data, rev)
}

// normalNamespace reads a namespace such that equal directories are equal.
func normalNamespace(s string) (objectstore.URI, error) {
	uri, err := objectstore.ParseURI(s)
	uri.Key = strings.Trim(uri.Key, "/") // as package namespace reads it
	return uri, err
}

// overlap reports whether one of two directories is, or holds, the other.
func overlap(a, b objectstore.URI) bool {
	for _, u := range []*objectstore.URI{&a, &b} {
		if u.Key != "" {
			u.Key += "/"
		}
	}
	return a.Contains(b) || b.Contains(a)
}
