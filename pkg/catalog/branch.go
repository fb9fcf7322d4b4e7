package catalog

import (
	"context"
	"errors"
	"fmt"

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

// MoveBranch makes a stored commit the head of a branch. If the branch was moved, or its
// repository deleted, since the branch was read as from, it returns a Conflict fault and
// changes nothing.
func (c *Catalog) MoveBranch(ctx context.Context, repository string, from Branch, commitID string) error {
	if _, err := c.Commit(ctx, repository, commitID); err != nil {
		return err
	}
	to := Branch{CommitID: commitID, Hidden: from.Hidden}
	_, err := c.records.bucket.Update(ctx, branchKey(root(repository, from.Incarnation), from.Name), to.value(), from.Revision)
	if errors.Is(err, kv.ErrConflict) {
		return errMoved(from)
	}
	if err != nil {
		return fmt.Errorf("move branch %q of repository %q: %w", from.Name, repository, err)
	}
	return nil
}
