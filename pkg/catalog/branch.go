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
	return c.existing(ctx, c.bucket.Get, repository, name)
}

// LatestBranch is Branch, as it was at some moment since the call: for whoever
// decides by its head what no compare-and-swap decides. It takes a write.
func (c *Catalog) LatestBranch(ctx context.Context, repository, name string) (Branch, error) {
	return c.existing(ctx, c.bucket.GetLinearized, repository, name)
}

func (c *Catalog) existing(ctx context.Context, get getter, repository, name string) (Branch, error) {
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return Branch{}, err
	}
	b, err := c.branch(ctx, get, r, name)
	if errors.Is(err, kv.ErrNotFound) {
		return Branch{}, fault.Missing("branch")
	}
	if err != nil {
		return Branch{}, fmt.Errorf("read branch %q of repository %q: %w", name, repository, err)
	}
	return b, nil
}

// errNoCommit says that the value of a branch is not the ID of a commit.
var errNoCommit = errors.New("it is not the ID of a commit")

// branch returns a branch, or kv.ErrNotFound.
func (c *Catalog) branch(ctx context.Context, get getter, r Repository, name string) (Branch, error) {
	if checkBranchName("", name) != nil {
		return Branch{}, kv.ErrNotFound
	}
	commit, rev, err := get(ctx, branchKey(r.root(), name))
	if err != nil {
		return Branch{}, err
	}
	if !validCommit.Match(commit) {
		return Branch{}, fault.Unreadable(kv.BucketCatalog, branchKey(r.root(), name), errNoCommit)
	}
	return Branch{Name: name, CommitID: string(commit), Incarnation: r.Incarnation, Revision: rev}, nil
}

// Branches returns up to amount, at least 1, branches whose names have the
// prefix and lie after `after`, ordered by name, and whether there are more.
func (c *Catalog) Branches(ctx context.Context, repository, prefix, after string, amount int) (page []Branch, more bool, err error) {
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return nil, false, err
	}
	page, more, err = list(ctx, c.bucket, branchKey(r.root(), ""), prefix, after, amount, func(name string) (Branch, error) {
		return c.branch(ctx, c.bucket.Get, r, name)
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
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return Branch{}, err
	}
	commit, err := c.resolve(ctx, r, source)
	if err != nil {
		return Branch{}, err
	}
	rev, err := c.bucket.Create(ctx, branchKey(r.root(), name), []byte(commit.ID))
	if errors.Is(err, kv.ErrConflict) {
		return Branch{}, fault.Conflicting("branch %q exists already", name)
	}
	if err != nil {
		return Branch{}, fmt.Errorf("create branch %q of repository %q: %w", name, repository, err)
	}
	return Branch{Name: name, CommitID: commit.ID, Incarnation: r.Incarnation, Revision: rev}, nil
}

// MoveBranch makes a stored commit the head of a branch. If the branch was moved, or its
// repository deleted, since the branch was read as from, it returns a Conflict fault and
// changes nothing.
func (c *Catalog) MoveBranch(ctx context.Context, repository string, from Branch, commitID string) error {
	if _, err := c.Commit(ctx, repository, commitID); err != nil {
		return err
	}
	_, err := c.bucket.Update(ctx, branchKey(root(repository, from.Incarnation), from.Name), []byte(commitID), from.Revision)
	if errors.Is(err, kv.ErrConflict) {
		return fault.Conflicting("branch %q was moved by somebody else meanwhile: try again", from.Name)
	}
	if err != nil {
		return fmt.Errorf("move branch %q of repository %q: %w", from.Name, repository, err)
	}
	return nil
}
