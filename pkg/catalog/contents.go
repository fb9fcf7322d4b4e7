package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Contents is all that one incarnation of a repository has, for a copy of it. Each of its
// methods yields records in the bytewise order of their names or IDs, read one by one; what
// is created or deleted meanwhile may be among them or not. Unlike in a list, a record that
// cannot be decoded is an error. An error is yielded last.
type Contents struct{ history history }

// ContentsOf returns what a repository has, or a NotFound fault.
func ContentsOf(ctx context.Context, c *Catalog, repository string) (Contents, error) {
	h, err := c.open(ctx, repository)
	return Contents{h}, err
}

// Repository returns the repository.
func (c Contents) Repository() Repository { return c.history.repository }

// Branches yields all branches, the hidden ones, too.
func (c Contents) Branches(ctx context.Context) iter.Seq2[Branch, error] {
	h := c.history
	return each(ctx, h, branchKey(h.repository.root(), ""), func(name string) (Branch, error) {
		return h.branch(ctx, h.bucket.Get, name)
	})
}

// Tags yields all tags.
func (c Contents) Tags(ctx context.Context) iter.Seq2[Tag, error] {
	h := c.history
	return each(ctx, h, tagKey(h.repository.root(), ""), func(encoded string) (Tag, error) {
		name, err := hex.DecodeString(encoded)
		if err != nil {
			return Tag{}, kv.ErrNotFound // this package stores no such key
		}
		t, _, err := h.tag(ctx, string(name))
		return t, err
	})
}

// Commits yields all commits, those of no branch, too. All commits of the branches and tags
// that were yielded before are among them.
func (c Contents) Commits(ctx context.Context) iter.Seq2[Commit, error] {
	h := c.history
	return each(ctx, h, commitKey(h.repository.root(), ""), func(id string) (Commit, error) {
		return h.commit(ctx, id)
	})
}

// each yields what get returns for the names of all keys that start with base. Names for
// which it is NotFound are left out.
func each[T any](ctx context.Context, h history, base string, get func(name string) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		keys, err := h.bucket.Keys(ctx, base)
		if err != nil {
			yield(*new(T), fmt.Errorf("list what repository %q has: %w", h.repository.ID, err))
			return
		}
		for _, key := range keys {
			v, err := get(strings.TrimPrefix(key, base))
			if errors.Is(err, kv.ErrNotFound) || fault.Is(err, fault.NotFound) {
				continue
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
