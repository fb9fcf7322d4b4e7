package coordinator

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// Paths are keys, and prefixes of keys, whose changes are looked for.
type Paths struct {
	Objects, Prefixes []string
}

// Tree opens the tree of the commit that ref points at.
func (s *Service) Tree(ctx context.Context, repository, ref string) (*metarange.Tree, error) {
	files, err := DifferOf(s).files(ctx, repository)
	if err != nil {
		return nil, err
	}
	commit, err := s.state.Catalog.Resolve(ctx, repository, ref)
	if err != nil {
		return nil, err
	}
	return metarange.Open(ctx, files, commit.MetarangeID)
}

// Differ compares the trees of commits. Its methods may be called concurrently.
type Differ struct{ service *Service }

// DifferOf returns what compares the commits of the repositories of a service.
func DifferOf(s *Service) Differ { return Differ{s} }

// files returns the files of a repository's trees, read through the cache.
func (c Differ) files(ctx context.Context, repository string) (*tablecache.Files, error) {
	r, err := c.service.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	files, err := namespace.Open(ctx, c.service.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return nil, err
	}
	return c.service.tables.In(r.StorageNamespace, files), nil
}

// Diff opens the trees of two refs. With threeDot it also opens that of their last common
// commit, so that changes of the left side alone are no differences.
func (c Differ) Diff(ctx context.Context, repository, left, right string, threeDot bool) (d metarange.Diff, err error) {
	files, err := c.files(ctx, repository)
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
	if d, err = diffOf(ctx, files, leftCommit, rightCommit); err != nil || !threeDot {
		return d, err
	}
	base, err := catalog.MergeBase(ctx, c.service.state.Catalog, repository, leftCommit, rightCommit)
	if err != nil {
		return d, err
	}
	if base.MetarangeID != leftCommit.MetarangeID { // else the left side has changed nothing
		d.Base, err = metarange.Open(ctx, files, base.MetarangeID)
	}
	return d, err
}

func diffOf(ctx context.Context, files metarange.Opener, left, right catalog.Commit) (d metarange.Diff, err error) {
	if d.Left, err = metarange.Open(ctx, files, left.MetarangeID); err == nil {
		d.Right, err = metarange.Open(ctx, files, right.MetarangeID)
	}
	return d, err
}

// Touching returns a function that reports whether a commit of the repository has one parent
// and differs from it at one of the paths.
func (c Differ) Touching(ctx context.Context, repository string, p Paths) (func(context.Context, catalog.Commit) (bool, error), error) {
	files, err := c.files(ctx, repository)
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
		d, err := diffOf(ctx, files, parent, commit)
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
