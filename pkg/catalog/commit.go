package catalog

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Identity returns the commit's ID, 64 hex digits: the hash that lakeFS computes for a
// commit, of all fields except ID and Generation.
func (c Commit) Identity() string {
	var parents, w ident.Writer
	parents.StringSlice(c.Parents)
	w.String("commit:v1")
	w.String(c.Committer)
	w.String(c.Message)
	w.String(c.MetarangeID)
	w.Int64(c.Created.Unix())
	w.StringMap(c.Metadata)
	w.Identity(parents.Sum())
	return hex.EncodeToString(w.Sum())
}

// textSize returns the size of message and metadata in bytes.
func (c Commit) textSize() int {
	size := len(c.Message)
	for name, value := range c.Metadata {
		size += len(name) + len(value)
	}
	return size
}

// AddCommit stores a commit under its identity, and returns it with its ID and with Created
// truncated to seconds. Adding it again is harmless. The caller is responsible for the
// parents and the generation.
func (c *Catalog) AddCommit(ctx context.Context, repository string, commit Commit) (Commit, error) {
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return c.addCommit(ctx, r, commit)
}

func (c *Catalog) addCommit(ctx context.Context, r Repository, commit Commit) (Commit, error) {
	commit.Created = commit.Created.UTC().Truncate(time.Second)
	commit.ID = commit.Identity()
	data, err := json.Marshal(commit)
	if err != nil {
		return Commit{}, fmt.Errorf("encode commit %s: %w", commit.ID, err)
	}
	_, err = c.bucket.Create(ctx, commitKey(r.root(), commit.ID), data)
	if err != nil && !errors.Is(err, kv.ErrConflict) {
		return Commit{}, fmt.Errorf("store commit %s of repository %q: %w", commit.ID, r.ID, err)
	}
	return commit, nil
}

// Commit returns the commit with the ID, or a NotFound fault.
func (c *Catalog) Commit(ctx context.Context, repository, id string) (Commit, error) {
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return c.existingCommit(ctx, r, id)
}

func (c *Catalog) existingCommit(ctx context.Context, r Repository, id string) (Commit, error) {
	commit, err := c.commit(ctx, r, id)
	if errors.Is(err, kv.ErrNotFound) {
		return Commit{}, fault.Missing("commit")
	}
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s of repository %q: %w", id, r.ID, err)
	}
	return commit, nil
}

// commit returns a commit, or kv.ErrNotFound.
func (c *Catalog) commit(ctx context.Context, r Repository, id string) (Commit, error) {
	if !validCommit.MatchString(id) {
		return Commit{}, kv.ErrNotFound
	}
	commit, _, err := read[Commit](ctx, c.bucket.Get, commitKey(r.root(), id))
	return commit, err
}

// Resolve returns the commit that a ref, a commit's ID or a branch's name, points at, or a
// NotFound fault. A commit takes precedence over a branch.
func (c *Catalog) Resolve(ctx context.Context, repository, ref string) (Commit, error) {
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return c.resolve(ctx, r, ref)
}

func (c *Catalog) resolve(ctx context.Context, r Repository, ref string) (Commit, error) {
	commit, err := c.commit(ctx, r, ref) // reads nothing unless ref has the form of an ID
	if errors.Is(err, kv.ErrNotFound) {
		var b Branch
		if b, err = c.branch(ctx, c.bucket.Get, r, ref); err == nil {
			return c.existingCommit(ctx, r, b.CommitID)
		}
	}
	if errors.Is(err, kv.ErrNotFound) {
		return Commit{}, fault.Missing(fmt.Sprintf("ref %q", ref))
	}
	if err != nil {
		return Commit{}, fmt.Errorf("resolve ref %q of repository %q: %w", ref, r.ID, err)
	}
	return commit, nil
}

// Log returns up to amount, at least 1, commits, from the one that ref points at backwards
// along first parents, and whether there are more. The page also ends with the commit by
// which messages and metadata reach limits.LogPage. With `after`, the ID of a commit, it
// starts with that commit's parent.
func (c *Catalog) Log(ctx context.Context, repository, ref, after string, amount int) (page []Commit, more bool, err error) {
	if amount < 1 {
		return nil, false, fault.BadField("amount", "%d is below 1", amount)
	}
	r, err := c.Repository(ctx, repository)
	if err != nil {
		return nil, false, err
	}
	next, err := c.resolve(ctx, r, ref)
	if err != nil {
		return nil, false, err
	}
	if after != "" {
		if next, err = c.existingCommit(ctx, r, after); err != nil {
			return nil, false, err
		}
		if len(next.Parents) == 0 {
			return nil, false, nil
		}
		if next, err = c.existingCommit(ctx, r, next.Parents[0]); err != nil {
			return nil, false, err
		}
	}
	for size := 0; ; {
		page = append(page, next)
		size += next.textSize()
		if len(next.Parents) == 0 {
			return page, false, nil
		}
		if len(page) == amount || size >= limits.LogPage {
			return page, true, nil
		}
		if next, err = c.existingCommit(ctx, r, next.Parents[0]); err != nil {
			return nil, false, err
		}
	}
}
