package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// Paths are keys, and prefixes of keys, whose changes are looked for.
type Paths struct {
	Objects, Prefixes []string
}

// Tree opens the tree of the commit that ref points at.
func (s *Service) Tree(ctx context.Context, repository, ref string) (*metarange.Tree, error) {
	trees, err := DifferOf(s).trees(ctx, repository)
	if err != nil {
		return nil, err
	}
	commit, err := s.state.Catalog.Resolve(ctx, repository, ref)
	if err != nil {
		return nil, err
	}
	return trees.open(ctx, commit)
}

// Differ compares the trees of commits. Its methods may be called concurrently.
type Differ struct{ service *Service }

// DifferOf returns what compares the commits of the repositories of a service.
func DifferOf(s *Service) Differ { return Differ{s} }

// trees are those of a repository, read through the cache.
type trees struct {
	files *tablecache.Files
	base  string // of addresses that are relative to the storage namespace
}

func (c Differ) trees(ctx context.Context, repository string) (trees, error) {
	r, err := c.service.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return trees{}, err
	}
	uri, err := objectstore.ParseURI(r.StorageNamespace)
	if err != nil {
		return trees{}, fmt.Errorf("storage namespace of repository %q: %w", r.ID, err)
	}
	files, err := namespace.Open(ctx, c.service.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return trees{}, err
	}
	return trees{c.service.tables.In(r.StorageNamespace, files), directory(uri).String()}, nil
}

// open opens the tree of a commit.
func (t trees) open(ctx context.Context, c catalog.Commit) (*metarange.Tree, error) {
	return metarange.Open(ctx, t.files, t.base, c.MetarangeID)
}

// Diff opens the trees of two refs. With threeDot it also opens that of their last common
// commit, so that changes of the left side alone are no differences.
func (c Differ) Diff(ctx context.Context, repository, left, right string, threeDot bool) (d metarange.Diff, err error) {
	trees, err := c.trees(ctx, repository)
	if err != nil {
		return d, err
	}
	leftCommit, err := c.service.state.Catalog.Resolve(ctx, repository, left)
	if err != nil {
		return d, err
	}
	rightCommit, err := c.service.state.Catalog.Resolve(ctx, repository, right)
	if err != nil {
		return d, err
	}
	if d, err = trees.diff(ctx, leftCommit, rightCommit); err != nil || !threeDot {
		return d, err
	}
	base, err := catalog.MergeBase(ctx, c.service.state.Catalog, repository, leftCommit, rightCommit)
	if err != nil {
		return d, err
	}
	if base.MetarangeID != leftCommit.MetarangeID { // else the left side has changed nothing
		d.Base, err = trees.open(ctx, base)
	}
	return d, err
}

// diff opens the trees of two commits.
func (t trees) diff(ctx context.Context, left, right catalog.Commit) (d metarange.Diff, err error) {
	if d.Left, err = t.open(ctx, left); err == nil {
		d.Right, err = t.open(ctx, right)
	}
	return d, err
}

// Touching returns a function that reports whether a commit of the repository has one parent
// and differs from it at one of the paths.
func (c Differ) Touching(ctx context.Context, repository string, p Paths) (func(context.Context, catalog.Commit) (bool, error), error) {
	trees, err := c.trees(ctx, repository)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, commit catalog.Commit) (bool, error) {
		if len(commit.Parents) != 1 {
			return false, nil
		}
		parent, err := c.service.state.Catalog.Commit(ctx, repository, commit.Parents[0])
		if err != nil || parent.MetarangeID == commit.MetarangeID {
			return false, err
		}
		d, err := trees.diff(ctx, parent, commit)
		if err != nil {
			return false, err
		}
		return p.in(ctx, d)
	}, nil
}

// in reports whether one of the paths differs.
func (p Paths) in(ctx context.Context, d metarange.Diff) (bool, error) {
	for _, key := range p.Objects {
		if found, err := d.Touches(ctx, key, true); found || err != nil {
			return found, err
		}
	}
	for _, prefix := range p.Prefixes {
		if found, err := d.Touches(ctx, prefix, false); found || err != nil {
			return found, err
		}
	}
	return false, nil
}
