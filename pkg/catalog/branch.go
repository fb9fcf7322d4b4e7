package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Branch returns a branch, or a NotFound fault. While NATS elects a leader, its head may be
// out of date.
func (c *Catalog) Branch(ctx context.Context, repository, name string) (Branch, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Branch{}, err
	}
	return h.branch(ctx, h.bucket.Get, name)
}

// LatestBranch is Branch, but as it was at some moment since the call. Decisions by a head
// that no compare-and-swap confirms need that. It takes a write.
func (c *Catalog) LatestBranch(ctx context.Context, repository, name string) (Branch, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Branch{}, err
	}
	return h.branch(ctx, h.bucket.GetLinearized, name)
}

// Branches returns up to amount, at least 1, branches whose names have the
// prefix and lie after `after`, ordered by name, and whether there are more.
func (c *Catalog) Branches(ctx context.Context, repository, prefix, after string, amount int) (page []Branch, more bool, err error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return nil, false, err
	}
	page, more, err = list(ctx, h.bucket, branchKey(h.repository.root(), ""), prefix, after, amount, func(name string) (Branch, error) {
		return h.branch(ctx, h.bucket.Get, name)
	})
	if err != nil {
		return nil, false, fmt.Errorf("list branches of repository %q: %w", repository, err)
	}
	return page, more, nil
}

// CreateBranch creates a branch that points at the commit of source, a ref. Faults are
// Invalid (name), NotFound and Conflict.
func (c *Catalog) CreateBranch(ctx context.Context, repository, name, source string) (Branch, error) {
	if err := checkBranchName("name", name); err != nil {
		return Branch{}, err
	}
	h, err := c.open(ctx, repository)
	if err != nil {
		return Branch{}, err
	}
	if err := h.checkNoTag(ctx, name); err != nil {
		return Branch{}, err
	}
	commit, err := h.resolve(ctx, source)
	if err != nil {
		return Branch{}, err
	}
	rev, err := h.bucket.Create(ctx, branchKey(h.repository.root(), name), []byte(commit.ID))
	if errors.Is(err, kv.ErrConflict) {
		return Branch{}, fault.Conflicting("branch %q exists already", name)
	}
	if err != nil {
		return Branch{}, fmt.Errorf("create branch %q of repository %q: %w", name, repository, err)
	}
	return Branch{Name: name, CommitID: commit.ID, Incarnation: h.repository.Incarnation, Revision: rev}, nil
}

// MoveBranch makes a stored commit the head of a branch. If the branch was moved, or its
// repository deleted, since the branch was read as from, it returns a Conflict fault and
// changes nothing.
func (c *Catalog) MoveBranch(ctx context.Context, repository string, from Branch, commitID string) error {
	if _, err := c.Commit(ctx, repository, commitID); err != nil {
		return err
	}
	_, err := c.records.bucket.Update(ctx, branchKey(root(repository, from.Incarnation), from.Name), []byte(commitID), from.Revision)
	if errors.Is(err, kv.ErrConflict) {
		return fault.Conflicting("branch %q was moved by somebody else meanwhile: try again", from.Name)
	}
	if err != nil {
		return fmt.Errorf("move branch %q of repository %q: %w", from.Name, repository, err)
	}
	return nil
}
