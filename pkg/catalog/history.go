package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// history is the branches and commits of a repository, which was visible when it was read.
type history struct {
	bucket     kv.Bucket
	repository Repository
}

// errNoCommit says that the value of a branch is not the ID of a commit.
var errNoCommit = errors.New("it is not the ID of a commit")

// branch returns a branch, or a NotFound fault.
func (h history) branch(ctx context.Context, get getter, name string) (Branch, error) {
	if checkBranchName("", name) != nil {
		return Branch{}, fault.Missing("branch")
	}
	key := branchKey(h.repository.root(), name)
	value, rev, err := get(ctx, key)
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return Branch{}, fault.Missing("branch")
	case err != nil:
		return Branch{}, fmt.Errorf("read branch %q of repository %q: %w", name, h.repository.ID, err)
	}
	commit, hidden := strings.CutSuffix(string(value), hiddenMark)
	if !validCommit.MatchString(commit) {
		return Branch{}, fault.Unreadable(kv.BucketCatalog, key, errNoCommit)
	}
	return Branch{Name: name, CommitID: commit, Hidden: hidden, Incarnation: h.repository.Incarnation, Revision: rev}, nil
}

// commit returns a commit, or a NotFound fault.
func (h history) commit(ctx context.Context, id string) (Commit, error) {
	if !validCommit.MatchString(id) {
		return Commit{}, fault.Missing("commit")
	}
	commit, _, err := read[Commit](ctx, h.bucket.Get, commitKey(h.repository.root(), id))
	if errors.Is(err, kv.ErrNotFound) {
		return Commit{}, fault.Missing("commit")
	}
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s of repository %q: %w", id, h.repository.ID, err)
	}
	return commit, nil
}

// addCommit stores a commit, and returns it with its ID.
func (h history) addCommit(ctx context.Context, commit Commit) (Commit, error) {
	commit.Created = commit.Created.UTC().Truncate(time.Second)
	commit.ID = commit.identity()
	_, err := put(ctx, h.bucket, commitKey(h.repository.root(), commit.ID), commit, 0)
	if err != nil && !errors.Is(err, kv.ErrConflict) {
		return Commit{}, fmt.Errorf("store commit %s of repository %q: %w", commit.ID, h.repository.ID, err)
	}
	return commit, nil
}

// createDefaultBranch stores the first commit, and a branch that points at it.
func (h history) createDefaultBranch(ctx context.Context) error {
	first, err := h.addCommit(ctx, Commit{Message: firstMessage, Created: h.repository.Created, Generation: 1})
	if err != nil {
		return err
	}
	_, err = h.bucket.Create(ctx, branchKey(h.repository.root(), h.repository.DefaultBranch), []byte(first.ID))
	return err
}
