package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Dropped is a head that a reset dropped from a branch, or was about to drop.
type Dropped struct {
	CommitID string    `json:"commit_id"`
	Revision uint64    `json:"revision"` // of the branch with that head
	At       time.Time `json:"at"`
}

// How many dropped heads of a branch are recorded, and for how long. A coordinator that reads
// them needs those of the last minutes.
const (
	maxDropped  = 1000
	keepDropped = 7 * 24 * time.Hour
)

// ResetBranch makes any stored commit the head of a branch. If the branch was moved, or its
// repository deleted, since the branch was read as from, it returns a Conflict fault and
// changes nothing.
//
// The commits that it drops from the branch had been on it. So the head is recorded before
// the branch moves, for DroppedHeads.
func (c *Catalog) ResetBranch(ctx context.Context, repository string, from Branch, commitID string) error {
	if _, err := c.Commit(ctx, repository, commitID); err != nil {
		return err
	}
	err := kv.RetryConflicts(ctx, func() error { return c.records.recordDropped(ctx, repository, from) })
	if err != nil {
		return explain(err, "record the head of branch %q of repository %q", from.Name, repository)
	}
	return c.MoveBranch(ctx, repository, from, commitID)
}

// DroppedHeads returns the heads that resets dropped from a branch in the last week, those
// of all resets that ended before this call. The read is linearizable, which takes a write.
func (c *Catalog) DroppedHeads(ctx context.Context, repository string, b Branch) ([]Dropped, error) {
	dropped, _, err := read[[]Dropped](ctx, c.records.bucket.GetLinearized, droppedKey(root(repository, b.Incarnation), b.Name))
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return nil, fmt.Errorf("read the dropped heads of branch %q of repository %q: %w", b.Name, repository, err)
	}
	return dropped, nil
}

// recordDropped adds the head of a branch to the dropped ones. It returns kv.ErrConflict
// if another process does so at the same time, and a Conflict fault if there are too many.
func (s records) recordDropped(ctx context.Context, repository string, b Branch) error {
	key, now := droppedKey(root(repository, b.Incarnation), b.Name), s.now().UTC()
	dropped, rev, err := read[[]Dropped](ctx, s.bucket.Get, key)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	dropped = slices.DeleteFunc(dropped, func(d Dropped) bool { return d.Revision == b.Revision || now.Sub(d.At) > keepDropped })
	if len(dropped) >= maxDropped {
		return fault.Conflicting("branch %q was reset %d times within a week: make another branch", b.Name, maxDropped)
	}
	_, err = put(ctx, s.bucket, key, append(dropped, Dropped{CommitID: b.CommitID, Revision: b.Revision, At: now}), rev)
	return err
}
