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
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Revert is a request to undo the changes of a commit.
type Revert struct {
	Repository, Branch string
	Ref                string // the commit: a branch, or a commit's ID
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
	if err := checkCommit("commit_overrides", r.Message, r.Metadata); err != nil {
		return catalog.Commit{}, err
	}
	repository, err := s.state.Catalog.Repository(ctx, r.Repository)
	if err != nil {
		return catalog.Commit{}, err
	}
	rv := reverter{catalog: s.state.Catalog, stores: s.cfg.Stores, breaks: s.cfg.Breaks, now: s.cfg.Now, repository: repository}
	if rv.undone, rv.parent, err = rv.find(ctx, r); err != nil {
		return catalog.Commit{}, err
	}
	leave, err := s.limits.of[stepCommit].take(ctx, storeOf(repository.StorageNamespace))
	if err != nil {
		return catalog.Commit{}, err
	}
	defer leave()
	for range maxReverts {
		commit, err = rv.once(ctx, r)
		var f *fault.Fault
		if !errors.As(err, &f) || f.Kind != fault.Conflict || f.Field != "" {
			break
		}
	}
	if err != nil {
		return catalog.Commit{}, err
	}
	s.cfg.Log.Info("commit reverted", "repository", r.Repository, "branch", r.Branch, "commit", rv.undone.ID, "by", commit.ID, "user", r.Committer)
	return commit, nil
}

// reverter undoes one commit of a repository.
type reverter struct {
	catalog    *catalog.Catalog
	stores     objectstore.Chooser
	breaks     partition.Breaks
	now        func() time.Time
	repository catalog.Repository
	undone     catalog.Commit // the commit that is undone
	parent     catalog.Commit // its parent to go back to
}

// find returns the commit that is to be undone, and its parent to go back to.
func (rv *reverter) find(ctx context.Context, r Revert) (undone, parent catalog.Commit, err error) {
	if undone, err = rv.catalog.Resolve(ctx, r.Repository, r.Ref); err != nil {
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
	parent, err = rv.catalog.Commit(ctx, r.Repository, undone.Parents[n-1])
	return undone, parent, err
}

// once makes the commit on the latest head, and moves the branch to it. It is a
// Conflict without a field if the branch has moved meanwhile.
func (rv *reverter) once(ctx context.Context, r Revert) (catalog.Commit, error) {
	branch, err := rv.catalog.LatestBranch(ctx, rv.repository.ID, r.Branch)
	if err != nil {
		return catalog.Commit{}, err
	}
	head, err := rv.catalog.Commit(ctx, rv.repository.ID, branch.CommitID)
	if err != nil {
		return catalog.Commit{}, err
	}
	id, err := rv.tree(ctx, head)
	if err != nil {
		return catalog.Commit{}, err
	}
	if id == head.MetarangeID && !r.AllowEmpty {
		return catalog.Commit{}, fault.BadField("ref", "no changes: what commit %s changed is not on branch %q any more", rv.undone.ID, r.Branch)
	}
	commit, err := rv.catalog.AddCommit(ctx, rv.repository.ID, catalog.Commit{
		Committer:   r.Committer,
		Message:     cmp.Or(r.Message, "Revert "+rv.undone.ID),
		MetarangeID: id,
		Created:     rv.now().UTC().Truncate(time.Second),
		Metadata:    r.Metadata,
		Parents:     []string{head.ID},
		Generation:  head.Generation + 1,
	})
	if err != nil {
		return catalog.Commit{}, err
	}
	return commit, rv.catalog.MoveBranch(ctx, rv.repository.ID, branch, commit.ID)
}

// tree stores the tree of head without the changes from parent to undone: it
// merges the changes from undone to parent into head.
func (rv *reverter) tree(ctx context.Context, head catalog.Commit) (id string, err error) {
	files, err := namespace.Open(ctx, rv.stores, rv.repository.StorageNamespace)
	if err != nil {
		return "", err
	}
	var trees [3]metarange.Ranges
	most := 0
	for i, c := range []catalog.Commit{rv.undone, head, rv.parent} {
		var count int
		if trees[i], count, err = metarange.Stream(ctx, files, c.MetarangeID); err != nil {
			return "", err
		}
		most = max(most, count)
	}
	result := metarange.Merge(ctx, files, rv.breaks, trees[0], trees[1], trees[2])
	id, err = metarange.WriteAll(ctx, files, result, most)
	var both *metarange.ConflictError
	if errors.As(err, &both) {
		return "", &fault.Fault{Kind: fault.Conflict, Field: "ref", Text: fmt.Sprintf("%q was changed by a later commit, too: revert that one first", both.Key)}
	}
	return id, err
}
