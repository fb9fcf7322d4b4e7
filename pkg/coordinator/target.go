package coordinator

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// Metadata that lakeFS keeps of an import.
const (
	mergeStrategy = ".lakefs.merge.strategy" // of the commit
	sourceWins    = "source-wins"
	lastImport    = ".lakefs.last.import.timestamp" // of the repository: the commit's creation date
)

// target is the branch that an import lands on, in the catalog. It is all that a lander
// knows of where commits are kept.
type target struct {
	catalog     *catalog.Catalog
	request     imports.Request
	incarnation string // of the repository
}

// head reads the branch: as it is now if latest is set. If the branch is gone, or its
// repository is another one with the same ID, it is NotFound.
func (t target) head(ctx context.Context, latest bool) (catalog.Branch, error) {
	read := t.catalog.Branch
	if latest {
		read = t.catalog.LatestBranch
	}
	head, err := read(ctx, t.request.Repository, t.request.Branch)
	if err == nil && head.Incarnation != t.incarnation {
		err = fault.Missing("repository")
	}
	return head, err
}

func (t target) commit(ctx context.Context, id string) (catalog.Commit, error) {
	return t.catalog.Commit(ctx, t.request.Repository, id)
}

// add stores the import's commit of a tree on a parent. It is not on the branch yet.
func (t target) add(ctx context.Context, parent catalog.Commit, metarangeID string, now time.Time) (catalog.Commit, error) {
	metadata := map[string]string{mergeStrategy: sourceWins}
	maps.Copy(metadata, t.request.Metadata)
	return t.catalog.AddCommit(ctx, t.request.Repository, catalog.Commit{
		Committer:   t.request.Committer,
		Message:     t.request.Message,
		MetarangeID: metarangeID,
		Created:     now,
		Metadata:    metadata,
		Parents:     []string{parent.ID},
		Generation:  parent.Generation + 1,
	})
}

// move moves the branch from head to the commit of an attempt. It is a Conflict if another
// process has moved the branch.
func (t target) move(ctx context.Context, head catalog.Branch, a *imports.Attempt) error {
	return t.catalog.MoveBranch(ctx, t.request.Repository, head, a.CommitID)
}

// landed reports whether an attempt is on the branch, as its head or an ancestor, or was on
// it until a reset took it away. In either case the import has made its commit, and must
// not make it again.
func (t target) landed(ctx context.Context, head catalog.Branch, a *imports.Attempt) (bool, error) {
	if a == nil {
		return false, nil
	}
	attempt, err := t.commit(ctx, a.CommitID)
	if err != nil {
		return false, err
	}
	landed, err := t.reaches(ctx, head.CommitID, attempt)
	if landed || err != nil || head.Revision == a.Revision {
		return landed, err
	}
	dropped, err := t.catalog.DroppedHeads(ctx, t.request.Repository, head)
	if err != nil {
		return false, err
	}
	for _, h := range dropped {
		if h.Revision <= a.Revision {
			continue // it was the head before the attempt was made
		}
		if landed, err := t.reaches(ctx, h.CommitID, attempt); landed || err != nil {
			return landed, err
		}
	}
	return false, nil
}

// reaches reports whether a commit is the head or an ancestor of it.
func (t target) reaches(ctx context.Context, head string, commit catalog.Commit) (bool, error) {
	for at := head; at != commit.ID; {
		c, err := t.commit(ctx, at)
		if err != nil || c.Generation <= commit.Generation || len(c.Parents) == 0 {
			return false, err
		}
		at = c.Parents[0]
	}
	return true, nil
}

// complete records in the repository that the attempt, which has landed, was its last
// import.
func (t target) complete(ctx context.Context, a *imports.Attempt) error {
	created := strconv.FormatInt(a.Created.Unix(), 10)
	return t.catalog.SetMetadata(ctx, t.request.Repository, map[string]string{lastImport: created})
}
