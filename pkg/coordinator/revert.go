package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// Revert asks to take back what a commit changed.
type Revert struct {
	Repository, Branch string
	Ref                string // the commit: a branch, or a commit's ID
	Parent             int    // number of the parent, from 1 on, to go back to; 0: the only one
	AllowEmpty         bool   // make a commit also if that changes nothing
	Committer          string
	Message            string // empty: one that names the commit
	Metadata           map[string]string
}

// maxReverts bounds how often a revert is made anew because the branch has moved.
const maxReverts = 5

// Revert commits to a branch what takes back the changes of a commit, and returns the
// new commit. What others changed since stays; a key that they changed too is a
// Conflict. It is an Invalid fault of ref if nothing would change.
func (s *Service) Revert(ctx context.Context, r Revert) (commit catalog.Commit, err error) {
	if err := checkCommit("commit_overrides", r.Message, r.Metadata); err != nil {
		return catalog.Commit{}, err
	}
	repository, err := s.cfg.Catalog.Repository(ctx, r.Repository)
	if err != nil {
		return catalog.Commit{}, err
	}
	undone, parent, err := s.undo(ctx, r)
	if err != nil {
		return catalog.Commit{}, err
	}
	leave, err := s.commits.take(ctx, storeOf(repository.StorageNamespace))
	if err != nil {
		return catalog.Commit{}, err
	}
	defer leave()
	for range maxReverts {
		commit, err = s.revertOnce(ctx, repository, r, undone, parent)
		var f *fault.Fault
		if !errors.As(err, &f) || f.Kind != fault.Conflict || f.Field != "" {
			break
		}
	}
	if err != nil {
		return catalog.Commit{}, err
	}
	s.cfg.Log.Info("commit reverted", "repository", r.Repository, "branch", r.Branch, "commit", undone.ID, "by", commit.ID, "user", r.Committer)
	return commit, nil
}

// undo returns the commit that is to be taken back, and its parent to go back to.
func (s *Service) undo(ctx context.Context, r Revert) (undone, parent catalog.Commit, err error) {
	if undone, err = s.cfg.Catalog.Resolve(ctx, r.Repository, r.Ref); err != nil {
		return undone, parent, err
	}
	n := cmp.Or(r.Parent, 1)
	switch {
	case len(undone.Parents) == 0:
		return undone, parent, fault.BadField("ref", "%q is the first commit: there is nothing before it", r.Ref)
	case r.Parent == 0 && len(undone.Parents) > 1:
		return undone, parent, fault.BadField("parent_number", "commit %s has %d parents: name one", undone.ID, len(undone.Parents))
	case n < 0 || n > len(undone.Parents):
		return undone, parent, fault.BadField("parent_number", "%d: want 1 to %d, the parents of commit %s", r.Parent, len(undone.Parents), undone.ID)
	}
	parent, err = s.cfg.Catalog.Commit(ctx, r.Repository, undone.Parents[n-1])
	return undone, parent, err
}

// revertOnce makes the commit on the latest head, and moves the branch to it. A Conflict
// fault without a field says that the branch was moved meanwhile.
func (s *Service) revertOnce(ctx context.Context, repository catalog.Repository, r Revert, undone, parent catalog.Commit) (catalog.Commit, error) {
	branch, err := s.cfg.Catalog.LatestBranch(ctx, repository.ID, r.Branch)
	if err != nil {
		return catalog.Commit{}, err
	}
	head, err := s.cfg.Catalog.Commit(ctx, repository.ID, branch.CommitID)
	if err != nil {
		return catalog.Commit{}, err
	}
	id, err := s.revertedTree(ctx, repository.StorageNamespace, head, undone, parent)
	if err != nil {
		return catalog.Commit{}, err
	}
	if id == head.MetarangeID && !r.AllowEmpty {
		return catalog.Commit{}, fault.BadField("ref", "no changes: what commit %s changed is not on branch %q any more", undone.ID, r.Branch)
	}
	commit, err := s.cfg.Catalog.AddCommit(ctx, repository.ID, catalog.Commit{
		Committer:   r.Committer,
		Message:     cmp.Or(r.Message, "Revert "+undone.ID),
		MetarangeID: id,
		Created:     s.cfg.Now().UTC().Truncate(time.Second),
		Metadata:    r.Metadata,
		Parents:     []string{head.ID},
		Generation:  head.Generation + 1,
	})
	if err != nil {
		return catalog.Commit{}, err
	}
	return commit, s.cfg.Catalog.MoveBranch(ctx, repository.ID, branch, commit.ID)
}

// revertedTree stores the tree of head with what undone changed of parent taken back: by
// merging the way from undone to parent into head.
func (s *Service) revertedTree(ctx context.Context, namespace string, head, undone, parent catalog.Commit) (id string, err error) {
	files, err := s.files(ctx, namespace)
	if err != nil {
		return "", err
	}
	var trees [3]metarange.Ranges
	most := 0
	for i, c := range []catalog.Commit{undone, head, parent} {
		var count int
		if trees[i], count, err = metarange.Stream(ctx, files, c.MetarangeID); err != nil {
			return "", err
		}
		most = max(most, count)
	}
	result := metarange.Merge(ctx, files, s.cfg.Breaks, trees[0], trees[1], trees[2])
	id, err = metarange.WriteAll(ctx, files, result, most)
	var both *metarange.ConflictError
	if errors.As(err, &both) {
		return "", &fault.Fault{Kind: fault.Conflict, Field: "ref", Text: fmt.Sprintf("%q was changed by a later commit, too: revert that one first", both.Key)}
	}
	return id, err
}
