package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// identity returns the commit's ID, 64 hex digits: the hash that lakeFS computes for a
// commit, of all fields except ID and Generation.
func (c Commit) identity() string {
	var items []byte
	for _, text := range []string{"commit:v1", c.Committer, c.Message, c.MetarangeID} {
		items = ident.AppendString(items, text)
	}
	items = ident.AppendInt64(items, c.Created.Unix())
	items = ident.AppendStringMap(items, c.Metadata)
	parents := sha256.Sum256(ident.AppendStringSlice(nil, c.Parents))
	id := sha256.Sum256(ident.AppendIdentity(items, parents[:]))
	return hex.EncodeToString(id[:])
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
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return h.addCommit(ctx, commit)
}

// Commit returns the commit with the ID, or a NotFound fault.
func (c *Catalog) Commit(ctx context.Context, repository, id string) (Commit, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return h.commit(ctx, id)
}

// Resolve returns the commit that a ref, a commit's ID or a branch's name, points at, or a
// NotFound fault. A commit takes precedence over a branch.
func (c *Catalog) Resolve(ctx context.Context, repository, ref string) (Commit, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return h.resolve(ctx, ref)
}

// Log returns up to amount, at least 1, commits, from the one that ref points at backwards
// along first parents, and whether there are more. The page also ends with the commit by
// which messages and metadata reach limits.LogPage. With `after`, the ID of a commit, it
// starts with that commit's parent.
func (c *Catalog) Log(ctx context.Context, repository, ref, after string, amount int) (page []Commit, more bool, err error) {
	if amount < 1 {
		return nil, false, fault.BadField("amount", "%d is below 1", amount)
	}
	h, err := c.open(ctx, repository)
	if err != nil {
		return nil, false, err
	}
	next, err := h.resolve(ctx, ref)
	if err != nil {
		return nil, false, err
	}
	if after != "" {
		if next, err = h.commit(ctx, after); err != nil {
			return nil, false, err
		}
		if len(next.Parents) == 0 {
			return nil, false, nil
		}
		if next, err = h.commit(ctx, next.Parents[0]); err != nil {
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
		if next, err = h.commit(ctx, next.Parents[0]); err != nil {
			return nil, false, err
		}
	}
}
