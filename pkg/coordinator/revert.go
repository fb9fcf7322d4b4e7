package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
)

// Revert is a request to undo the changes of a commit.
type Revert struct {
	Repository, Branch string
	Ref                string // the commit
	Parent             int    // number of the parent to go back to, from 1 on; 0: the only one
	AllowEmpty         bool   // commit even if nothing changes
	Committer          string
	Message            string // empty: names the commit
	Metadata           map[string]string
}

// maxReverts bounds how often a revert is repeated because the branch has moved.
const maxReverts = 5

// Revert commits to a branch the inverse of a commit's changes, and returns the new
// commit. Later changes of other keys stay. A later change of the same key is a Conflict.
// It is an Invalid fault of ref if nothing would change.
func (s *Service) Revert(ctx context.Context, r Revert) (commit catalog.Commit, err error) {
	if err := catalog.CheckText("commit_overrides.", r.Message, r.Metadata); err != nil {
		return catalog.Commit{}, err
	}
	repository, err := s.state.Catalog.Repository(ctx, r.Repository)
	if err != nil {
		return catalog.Commit{}, err
	}
	undone, parent, err := findUndone(ctx, s.state.Catalog, r)
	if err != nil {
		return catalog.Commit{}, err
	}
	leave, err := s.limits.of[stepCommit].take(ctx, storeOf(repository.StorageNamespace))
	if err != nil {
		return catalog.Commit{}, err
	}
	defer leave()
	found := foundRevert{Revert: r, namespace: repository.StorageNamespace, undone: undone, parent: parent}
	for range maxReverts {
		commit, err = found.try(ctx, s.cfg, s.state.Catalog)
		var f *fault.Fault
		if !errors.As(err, &f) || f.Kind != fault.Conflict || f.Field != "" {
			break
		}
	}
	if err != nil {
		return catalog.Commit{}, err
	}
	s.cfg.Log.InfoContext(ctx, "commit reverted", "repository", r.Repository, "branch", r.Branch, "commit", undone.ID, "by", commit.ID, "user", r.Committer)
	return commit, nil
}

// findUndone returns the commit that is to be undone, and its parent to go back to.
func findUndone(ctx context.Context, in *catalog.Catalog, r Revert) (undone, parent catalog.Commit, err error) {
	if undone, err = in.Resolve(ctx, r.Repository, r.Ref); err != nil {
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
	parent, err = in.Commit(ctx, r.Repository, undone.Parents[n-1])
	return undone, parent, err
}

// foundRevert is a request, and the commits that it names.
type foundRevert struct {
	Revert
	namespace      string
	undone, parent catalog.Commit // parent is the one to go back to
}

// try makes the commit on the latest head, and moves the branch to it. It is a Conflict
// without a field if the branch has moved meanwhile.
func (r foundRevert) try(ctx context.Context, cfg Config, c *catalog.Catalog) (catalog.Commit, error) {
	branch, err := c.LatestBranch(ctx, r.Repository, r.Branch)
	if err != nil {
		return catalog.Commit{}, err
	}
	head, err := c.Commit(ctx, r.Repository, branch.CommitID)
	if err != nil {
		return catalog.Commit{}, err
	}
	id, err := mergeTrees(ctx, cfg, r.namespace, r.undone, head, r.parent)
	if err != nil {
		return catalog.Commit{}, err
	}
	if id == head.MetarangeID && !r.AllowEmpty {
		return catalog.Commit{}, fault.BadField("ref", "no changes: what commit %s changed is not on branch %q any more", r.undone.ID, r.Branch)
	}
	commit, err := c.AddCommit(ctx, r.Repository, catalog.Commit{
		Committer:   r.Committer,
		Message:     cmp.Or(r.Message, "Revert "+r.undone.ID),
		MetarangeID: id,
		Created:     cfg.Now(),
		Metadata:    r.Metadata,
		Parents:     []string{head.ID},
		Generation:  head.Generation + 1,
	})
	if err != nil {
		return catalog.Commit{}, err
	}
	return commit, c.MoveBranch(ctx, r.Repository, branch, commit.ID)
}

// mergeTrees stores the tree of head with the changes from the tree of base to that of
// other.
func mergeTrees(ctx context.Context, cfg Config, storageNamespace string, base, head, other catalog.Commit) (id string, err error) {
	files, err := namespace.Open(ctx, cfg.Stores, storageNamespace)
	if err != nil {
		return "", err
	}
	var trees [3]metarange.Ranges
	most := 0
	for i, c := range []catalog.Commit{base, head, other} {
		var count int
		if trees[i], count, err = metarange.Stream(ctx, files, c.MetarangeID); err != nil {
			return "", err
		}
		most = max(most, count)
	}
	result := metarange.Merge(ctx, files, cfg.Breaks, trees[0], trees[1], trees[2])
	id, err = metarange.WriteAll(ctx, files, result, most)
	if both, ok := errors.AsType[*metarange.ConflictError](err); ok {
		return "", &fault.Fault{Kind: fault.Conflict, Field: "ref", Text: fmt.Sprintf("%q was changed by a later commit, too: revert that one first", both.Key)}
	}
	return id, err
}

// ResetBranch makes the commit that ref points at the head of a branch. It is a Conflict if
// another process moves the branch at the same time.
//
// An import that is about to land on the branch lands on the new head. The commit of an
// import that has landed is taken away, and not made again.
func (s *Service) ResetBranch(ctx context.Context, user, repository, branch, ref string) error {
	head, err := s.state.Catalog.LatestBranch(ctx, repository, branch)
	if err != nil {
		return err
	}
	commit, err := s.state.Catalog.Resolve(ctx, repository, ref)
	if err != nil || commit.ID == head.CommitID {
		return err
	}
	if err := s.state.Catalog.ResetBranch(ctx, repository, head, commit.ID); err != nil {
		return err
	}
	s.cfg.Log.InfoContext(ctx, "branch reset", "repository", repository, "branch", branch, "from", head.CommitID, "to", commit.ID, "user", user)
	return nil
}
