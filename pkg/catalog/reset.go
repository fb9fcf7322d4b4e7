package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// Dropped is a head that a reset took from a branch, or was about to take.
type Dropped struct {
	CommitID string    `json:"commit_id"`
	Revision uint64    `json:"revision"` // of the branch with that head
	At       time.Time `json:"at"`
}

// How many heads that resets took from a branch are remembered, and how long. Whoever
// asks for them knows the outcome of its own move within minutes.
const (
	maxDropped  = 1000
	keepDropped = 7 * 24 * time.Hour
)

// ResetBranch makes any stored commit the head of a branch, provided that nobody moved
// it since it was read as from, nor deleted its repository; else it is a Conflict fault,
// and the branch is as it was.
//
// The commits that it takes from the branch had been on it all the same: so the head is
// remembered before it goes, and DroppedHeads tells of it.
func (c *Catalog) ResetBranch(ctx context.Context, repository string, from Branch, commitID string) error {
	if _, err := c.Commit(ctx, repository, commitID); err != nil {
		return err
	}
	err := queue.Contend(ctx, func() error { return c.remember(ctx, repository, from) })
	var f *fault.Fault
	if errors.As(err, &f) {
		return err
	}
	if err != nil {
		return fmt.Errorf("remember the head of branch %q of repository %q: %w", from.Name, repository, err)
	}
	return c.MoveBranch(ctx, repository, from, commitID)
}

// DroppedHeads returns the heads that resets took from a branch in the last week: all of
// which a reset before this call is the cause. It takes a write.
func (c *Catalog) DroppedHeads(ctx context.Context, repository string, b Branch) ([]Dropped, error) {
	dropped, _, err := read[[]Dropped](ctx, c.kv.Latest, droppedKey(root(repository, b.Incarnation), b.Name))
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return nil, fmt.Errorf("read the heads that branch %q of repository %q had: %w", b.Name, repository, err)
	}
	return dropped, nil
}

// remember adds the head of a branch to those that resets took from it. It is
// queue.ErrConflict if somebody else does so at the same time, and a Conflict fault if
// there are too many.
func (c *Catalog) remember(ctx context.Context, repository string, b Branch) error {
	key, now := droppedKey(root(repository, b.Incarnation), b.Name), c.now().UTC()
	dropped, rev, err := read[[]Dropped](ctx, c.kv.Get, key)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	dropped = slices.DeleteFunc(dropped, func(d Dropped) bool { return d.Revision == b.Revision || now.Sub(d.At) > keepDropped })
	if len(dropped) >= maxDropped {
		return fault.Conflicting("branch %q was reset %d times within a week: make another branch", b.Name, maxDropped)
	}
	data, err := json.Marshal(append(dropped, Dropped{CommitID: b.CommitID, Revision: b.Revision, At: now}))
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if rev == 0 {
		_, err = c.kv.Create(ctx, key, data)
	} else {
		_, err = c.kv.Update(ctx, key, data, rev)
	}
	return err
}
