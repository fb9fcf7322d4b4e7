package edit

import (
	"cmp"
	"context"
	"fmt"
	"maps"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Merge is a request to merge a commit into a branch.
type Merge struct {
	Repository  string
	Source      string // a ref
	Destination string // a branch
	Strategy    string // "", "source-wins" or "dest-wins"
	Squash      bool   // the new commit has one parent, the head of the branch
	AllowEmpty  bool   // merge even if the source has no changes
	Committer   string
	Message     string // "": names source and destination
	Metadata    map[string]string
}

// strategies are those of lakeFS, and how it names them in the metadata of a merge. They
// tell whose change of a key wins. Merges in which both sides have changed something are
// not made, so they make no difference.
var strategies = map[string]string{"": "default", "source-wins": "source-wins", "dest-wins": "dest-wins"}

// strategyKey is the metadata in which lakeFS keeps the strategy of a merge.
const strategyKey = ".lakefs.merge.strategy"

// Merge adds to a branch a commit with the changes of the source since the merge base, and
// returns it. As in lakeFS, there is a new commit even if the source is ahead of the branch.
//
// One of both sides must have the tree of the merge base. If both have changed it, the
// merge is a Conflict, whether they have changed the same keys or not. Other faults are
// NotFound, Invalid (message, metadata, strategy, source, or "no changes" without a field)
// and Conflict, if others keep moving the branch.
func (e *Editor) Merge(ctx context.Context, m Merge) (catalog.Commit, error) {
	if err := catalog.CheckText("", m.Message, m.Metadata); err != nil {
		return catalog.Commit{}, err
	}
	strategy, ok := strategies[m.Strategy]
	if !ok {
		return catalog.Commit{}, fault.BadField("strategy", "unknown value %q: want source-wins, dest-wins or none", m.Strategy)
	}
	metadata := map[string]string{}
	maps.Copy(metadata, m.Metadata)
	metadata[strategyKey] = strategy
	made, err := e.onHead(ctx, m.Repository, m.Destination, func(head catalog.Commit) (catalog.Commit, error) {
		source, tree, err := e.mergedTree(ctx, m, head)
		next := catalog.Commit{
			Committer: m.Committer, Message: cmp.Or(m.Message, fmt.Sprintf("Merge '%s' into '%s'", m.Source, m.Destination)),
			MetarangeID: tree, Created: e.cfg.Now(), Metadata: metadata,
			Parents: []string{head.ID}, Generation: max(head.Generation, source.Generation) + 1,
		}
		if !m.Squash {
			next.Parents = append(next.Parents, source.ID)
		}
		return next, err
	})
	if err == nil {
		e.cfg.Log.InfoContext(ctx, "branch merged", "repository", m.Repository, "source", m.Source, "branch", m.Destination, "commit", made.ID, "user", m.Committer)
	}
	return made, err
}

// Base is where the histories of two refs part.
type Base struct {
	Source, Destination catalog.Commit // of the refs
	Base                catalog.Commit // the newest commit that both have in their history
}

// MergeBase returns the merge base of two refs. Faults are NotFound, Invalid (ref), and
// Conflict, if the refs have no history in common.
func (e *Editor) MergeBase(ctx context.Context, repository, source, destination string) (b Base, err error) {
	if b.Source, err = e.cfg.Catalog.Resolve(ctx, repository, source); err != nil {
		return b, err
	}
	if b.Destination, err = e.cfg.Catalog.Resolve(ctx, repository, destination); err != nil {
		return b, err
	}
	b.Base, err = catalog.MergeBase(ctx, e.cfg.Catalog, repository, b.Source, b.Destination)
	return b, err
}

// mergedTree returns the source of a merge, and the tree of the merge into a head.
func (e *Editor) mergedTree(ctx context.Context, m Merge, head catalog.Commit) (source catalog.Commit, tree string, err error) {
	b, err := e.MergeBase(ctx, m.Repository, m.Source, head.ID)
	if err != nil {
		return b.Source, "", err
	}
	from, base := b.Source.MetarangeID, b.Base.MetarangeID
	switch {
	case from == base && !m.AllowEmpty:
		err = errNoChanges
	case head.MetarangeID == base:
		tree = from
	case from == base, from == head.MetarangeID:
		tree = head.MetarangeID
	default:
		err = fault.Conflicting("conflict found: %q and branch %q have both changed since commit %s, "+
			"and three-way merges are not supported", m.Source, m.Destination, b.Base.ID)
	}
	return b.Source, tree, err
}
