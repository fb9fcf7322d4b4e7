// Package edit changes branches as requests say: it commits trees to them that are stored
// already, and merges them.
package edit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Config is what an editor works with. All fields are required.
type Config struct {
	Catalog *catalog.Catalog
	Stores  objectstore.Opener
	Now     func() time.Time
	Log     *slog.Logger
}

// Editor changes branches. Its methods may be called concurrently, by any number of
// processes.
type Editor struct{ cfg Config }

// New returns an editor.
func New(cfg Config) *Editor { return &Editor{cfg} }

// Commit is a request to commit a tree to a branch.
type Commit struct {
	Repository, Branch string
	Tree               string // the ID of a metarange of the repository; "": the tree of the head
	AllowEmpty         bool   // commit the tree of the head, which else is refused
	Committer          string
	Message            string
	Metadata           map[string]string
	Created            time.Time // zero: now
}

// Commit adds a commit to a branch, and returns it. The tree of the commit replaces that of
// the branch. Faults are NotFound, Invalid (message, metadata, source_metarange, or "no
// changes" without a field) and Conflict, if others keep moving the branch.
func (e *Editor) Commit(ctx context.Context, c Commit) (catalog.Commit, error) {
	if err := catalog.CheckText("", c.Message, c.Metadata); err != nil {
		return catalog.Commit{}, err
	}
	r, err := e.cfg.Catalog.Repository(ctx, c.Repository)
	if err == nil {
		_, err = e.cfg.Catalog.Branch(ctx, c.Repository, c.Branch)
	}
	switch {
	case err != nil:
	case c.Tree != "":
		err = e.checkTree(ctx, r.StorageNamespace, c.Tree)
	case !c.AllowEmpty:
		err = errNoChanges
	}
	if err != nil {
		return catalog.Commit{}, err
	}
	made, err := e.onHead(ctx, c.Repository, c.Branch, func(head catalog.Commit) (catalog.Commit, error) {
		next := catalog.Commit{
			Committer: c.Committer, Message: c.Message, MetarangeID: c.Tree, Created: c.Created, Metadata: c.Metadata,
			Parents: []string{head.ID}, Generation: head.Generation + 1,
		}
		if next.Created.IsZero() {
			next.Created = e.cfg.Now()
		}
		if c.Tree == "" {
			next.MetarangeID = head.MetarangeID
		}
		return next, nil
	})
	if err == nil {
		e.cfg.Log.InfoContext(ctx, "tree committed", "repository", c.Repository, "branch", c.Branch, "commit", made.ID, "user", c.Committer)
	}
	return made, err
}

// errNoChanges has the message that clients of lakeFS know.
var errNoChanges = fault.BadField("", "no changes")

// sourceMetarange is the parameter of a request that names a tree.
const sourceMetarange = "source_metarange"

var validTree = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkTree makes sure that a metarange is in the storage namespace and sound. It reads the
// whole metarange, and none of its ranges.
func (e *Editor) checkTree(ctx context.Context, storageNamespace, id string) error {
	if !validTree.MatchString(id) {
		return fault.BadField(sourceMetarange, "%q is not the ID of a metarange: want 64 hex digits", id)
	}
	files, err := namespace.Open(ctx, e.cfg.Stores, storageNamespace)
	if err != nil {
		return err
	}
	ranges, _, err := metarange.Stream(ctx, files, id)
	if err == nil {
		err = checkRanges(ranges)
	}
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return fault.BadField(sourceMetarange, "%q: the repository has no such metarange", id)
	case errors.Is(err, table.ErrCorrupt):
		return fault.BadField(sourceMetarange, "%q is not a sound metarange: %v", id, err)
	}
	return err
}

func checkRanges(ranges metarange.Ranges) error {
	for r, err := range ranges {
		if err != nil {
			return err
		}
		if len(r.MaxKey) > limits.Key {
			return fmt.Errorf("%w: range %s ends at a key of %d bytes, at most %d are allowed", table.ErrCorrupt, r.ID, len(r.MaxKey), limits.Key)
		}
	}
	return nil
}

// maxTries bounds how often a commit is made because the branch has moved.
const maxTries = 10

// onHead adds to a branch the commit that next makes for its head. If another process moves
// the branch meanwhile, next is called again.
func (e *Editor) onHead(ctx context.Context, repository, branch string, next func(head catalog.Commit) (catalog.Commit, error)) (made catalog.Commit, err error) {
	for range maxTries {
		b, err := e.cfg.Catalog.LatestBranch(ctx, repository, branch)
		if err != nil {
			return catalog.Commit{}, err
		}
		head, err := e.cfg.Catalog.Commit(ctx, repository, b.CommitID)
		if err != nil {
			return catalog.Commit{}, err
		}
		if made, err = next(head); err != nil {
			return catalog.Commit{}, err
		}
		if made, err = e.cfg.Catalog.AddCommit(ctx, repository, made); err != nil {
			return catalog.Commit{}, err
		}
		if err = e.cfg.Catalog.MoveBranch(ctx, repository, b, made.ID); err == nil || !fault.Is(err, fault.Conflict) {
			return made, err
		}
	}
	return catalog.Commit{}, fault.Conflicting("branch %q was moved by others %d times meanwhile: try again", branch, maxTries)
}
