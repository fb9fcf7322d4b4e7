package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Tag is a name for a commit that is never moved. It can be deleted, and created again.
type Tag struct {
	Name     string
	CommitID string
}

// Tags reads and writes the tags of repositories. Its methods may be called concurrently, by
// any number of processes.
type Tags struct{ catalog *Catalog }

// Tags returns the tags of the repositories of a catalog.
func (c *Catalog) Tags() Tags { return Tags{c} }

// maxTagName is the length of the longest name of a tag in bytes. Its key has two characters
// for each.
const maxTagName = 255

// checkTagName returns an Invalid fault for a name that lakeFS does not take, which are those
// that Git does not take, except that '~' is allowed and '/' is not.
func checkTagName(field, name string) error {
	wrong := name == "" || name == "@" || len(name) > maxTagName || !utf8.ValidString(name) ||
		strings.ContainsAny(name, `^:?*[\/`) || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' })
	for _, part := range []string{"..", "@{"} {
		wrong = wrong || strings.Contains(name, part)
	}
	for _, end := range []string{".", ".lock"} {
		wrong = wrong || strings.HasSuffix(name, end)
	}
	if wrong {
		return fault.BadField(field, `%q is not a valid name of a tag: want up to %d bytes without spaces and ^:?*[\/, without ".." and "@{", not ending in "." or ".lock", and not "@"`, name, maxTagName)
	}
	return nil
}

// tagKey encodes the name: keys have fewer characters than names of tags. The order of the
// names stays.
func tagKey(root, name string) string { return "t." + root + "." + hex.EncodeToString([]byte(name)) }

// Get returns a tag, or a NotFound fault.
func (s Tags) Get(ctx context.Context, repository, name string) (Tag, error) {
	h, err := s.catalog.open(ctx, repository)
	if err != nil {
		return Tag{}, err
	}
	t, _, err := h.tag(ctx, name)
	return t, err
}

// List returns up to amount, at least 1, tags whose names have the prefix and lie after
// `after`, ordered by name, and whether there are more.
func (s Tags) List(ctx context.Context, repository, prefix, after string, amount int) (page []Tag, more bool, err error) {
	h, err := s.catalog.open(ctx, repository)
	if err != nil {
		return nil, false, err
	}
	encode := func(s string) string { return hex.EncodeToString([]byte(s)) }
	page, more, err = list(ctx, h.bucket, tagKey(h.repository.root(), ""), encode(prefix), encode(after), amount, func(encoded string) (Tag, error) {
		name, err := hex.DecodeString(encoded)
		if err != nil {
			return Tag{}, kv.ErrNotFound // this package stores no such key
		}
		t, _, err := h.tag(ctx, string(name))
		return t, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list tags of repository %q: %w", repository, err)
	}
	return page, more, nil
}

// Create creates a tag for the commit of ref. Faults are Invalid (id, ref), NotFound, and
// Conflict if there is a tag, a branch or a commit of that name. A branch that is being
// created meanwhile may get the same name; then refs mean the branch.
func (s Tags) Create(ctx context.Context, repository, name, ref string) (Tag, error) {
	if err := checkTagName("id", name); err != nil {
		return Tag{}, err
	}
	h, err := s.catalog.open(ctx, repository)
	if err != nil {
		return Tag{}, err
	}
	if err := h.checkNoBranch(ctx, name); err != nil {
		return Tag{}, err
	}
	commit, err := h.resolve(ctx, ref)
	if err != nil {
		return Tag{}, err
	}
	_, err = h.bucket.Create(ctx, tagKey(h.repository.root(), name), []byte(commit.ID))
	if errors.Is(err, kv.ErrConflict) {
		return Tag{}, fault.Conflicting("tag already exists: not unique")
	}
	return Tag{Name: name, CommitID: commit.ID}, explain(err, "create tag %q of repository %q", name, repository)
}

// Delete deletes a tag, or returns a NotFound fault. The commit stays.
func (s Tags) Delete(ctx context.Context, repository, name string) error {
	h, err := s.catalog.open(ctx, repository)
	if err != nil {
		return err
	}
	err = kv.RetryConflicts(ctx, func() error {
		_, rev, err := h.tag(ctx, name)
		if err != nil && !fault.Is(err, fault.Broken) {
			return err
		}
		return h.bucket.Delete(ctx, tagKey(h.repository.root(), name), rev)
	})
	return explain(err, "delete tag %q of repository %q", name, repository)
}

// tag returns a tag and the revision of its record. A Broken fault comes with the revision.
func (h history) tag(ctx context.Context, name string) (Tag, uint64, error) {
	if checkTagName("", name) != nil {
		return Tag{}, 0, fault.Missing("tag")
	}
	key := tagKey(h.repository.root(), name)
	commit, rev, err := h.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return Tag{}, 0, fault.Missing("tag")
	case err != nil:
		return Tag{}, 0, fmt.Errorf("read tag %q of repository %q: %w", name, h.repository.ID, err)
	case !validCommit.Match(commit):
		return Tag{}, rev, fault.Unreadable(kv.BucketCatalog, key, errNoCommit)
	}
	return Tag{Name: name, CommitID: string(commit)}, rev, nil
}

// checkNoBranch returns a Conflict if there is a branch or a commit of a name.
func (h history) checkNoBranch(ctx context.Context, name string) error {
	_, err := h.commit(ctx, name)
	what := "commit ID"
	if fault.Is(err, fault.NotFound) {
		_, err = h.branch(ctx, h.bucket.Get, name)
		what = "branch name"
	}
	return taken(what, name, err)
}

// checkNoTag returns a Conflict if there is a tag of a name.
func (h history) checkNoTag(ctx context.Context, name string) error {
	_, _, err := h.tag(ctx, name)
	return taken("tag ID", name, err)
}

// taken returns a Conflict if looking for what has a name found something.
func taken(what, name string, err error) error {
	switch {
	case err == nil:
		return fault.Conflicting("%s %s: conflict found", what, name)
	case fault.Is(err, fault.NotFound):
		return nil
	}
	return err
}
