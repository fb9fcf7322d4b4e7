package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// hiddenMark follows the commit ID in the value of a hidden branch.
const hiddenMark = " hidden"

// value returns what is stored of a branch.
func (b Branch) value() []byte {
	if b.Hidden {
		return []byte(b.CommitID + hiddenMark)
	}
	return []byte(b.CommitID)
}

// Branches creates, lists and deletes the branches of repositories. Its methods may be called
// concurrently, by any number of processes.
type Branches struct{ catalog *Catalog }

// Branches returns the branches of the repositories of a catalog.
func (c *Catalog) Branches() Branches { return Branches{c} }

// List returns up to amount, at least 1, branches whose names have the prefix and lie
// after `after`, ordered by name, and whether there are more. Hidden ones are left out.
func (s Branches) List(ctx context.Context, repository, prefix, after string, amount int) (page []Branch, more bool, err error) {
	return s.list(ctx, repository, prefix, after, amount, false)
}

// ListAll is List with the hidden ones.
func (s Branches) ListAll(ctx context.Context, repository, prefix, after string, amount int) (page []Branch, more bool, err error) {
	return s.list(ctx, repository, prefix, after, amount, true)
}

func (s Branches) list(ctx context.Context, repository, prefix, after string, amount int, hidden bool) (page []Branch, more bool, err error) {
	h, err := s.catalog.open(ctx, repository)
	if err != nil {
		return nil, false, err
	}
	page, more, err = list(ctx, h.bucket, branchKey(h.repository.root(), ""), prefix, after, amount, func(name string) (Branch, error) {
		b, err := h.branch(ctx, h.bucket.Get, name)
		if b.Hidden && !hidden {
			err = kv.ErrNotFound
		}
		return b, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list branches of repository %q: %w", repository, err)
	}
	return page, more, nil
}

// Create creates a branch that points at the commit of source, a ref. Faults are
// Invalid (name), NotFound and Conflict.
func (s Branches) Create(ctx context.Context, repository, name, source string) (Branch, error) {
	return s.create(ctx, repository, Branch{Name: name}, source)
}

// CreateHidden is Create of a hidden branch. It stays hidden.
func (s Branches) CreateHidden(ctx context.Context, repository, name, source string) (Branch, error) {
	return s.create(ctx, repository, Branch{Name: name, Hidden: true}, source)
}

func (s Branches) create(ctx context.Context, repository string, b Branch, source string) (Branch, error) {
	if err := checkBranchName("name", b.Name); err != nil {
		return Branch{}, err
	}
	h, err := s.catalog.open(ctx, repository)
	if err != nil {
		return Branch{}, err
	}
	if err := h.checkNoTag(ctx, b.Name); err != nil {
		return Branch{}, err
	}
	commit, err := h.resolve(ctx, source)
	if err != nil {
		return Branch{}, err
	}
	if _, err := h.commit(ctx, b.Name); err == nil { // refs would not reach the branch
		return Branch{}, fault.Conflicting("branch %q would have the ID of a commit", b.Name)
	}
	b.CommitID, b.Incarnation = commit.ID, h.repository.Incarnation
	b.Revision, err = h.bucket.Create(ctx, branchKey(h.repository.root(), b.Name), b.value())
	if errors.Is(err, kv.ErrConflict) {
		return Branch{}, fault.Conflicting("branch %q exists already", b.Name)
	}
	if err != nil {
		return Branch{}, fmt.Errorf("create branch %q of repository %q: %w", b.Name, repository, err)
	}
	return b, nil
}

// Delete deletes a branch, and none of its commits. The default branch is Forbidden. If
// the branch was moved, or its repository deleted, since the branch was read as from, it
// returns a Conflict fault and changes nothing.
func (s Branches) Delete(ctx context.Context, repository string, from Branch) error {
	r, err := s.catalog.Repository(ctx, repository)
	if err != nil {
		return err
	}
	if from.Name == r.DefaultBranch {
		return fault.Forbid("cannot delete repository default branch")
	}
	err = s.catalog.records.bucket.Delete(ctx, branchKey(root(repository, from.Incarnation), from.Name), from.Revision)
	if errors.Is(err, kv.ErrConflict) {
		return errMoved(from)
	}
	return explain(err, "delete branch %q of repository %q", from.Name, repository)
}

func errMoved(b Branch) error {
	return fault.Conflicting("branch %q was moved by somebody else meanwhile: try again", b.Name)
}
