package coordinator

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

// DeleteBranch deletes a branch, and none of its commits. It is a Conflict while imports into
// the branch run, and Forbidden for the default branch.
//
// The head is read before the imports: if one of them lands meanwhile, the deletion is a
// Conflict. An import that is accepted at the same moment fails when it is about to land.
func (s *Service) DeleteBranch(ctx context.Context, user, repository, branch string) error {
	head, err := s.state.Catalog.LatestBranch(ctx, repository, branch)
	if err != nil {
		return err
	}
	running, err := runningImports(ctx, s.state.Imports, func(r imports.Request) bool { return r.Repository == repository && r.Branch == branch })
	if err != nil {
		return err
	}
	if running > 0 {
		return inUse("branch", branch, running)
	}
	if err := s.state.Catalog.Branches().Delete(ctx, repository, head); err != nil {
		return err
	}
	s.cfg.Log.InfoContext(ctx, "branch deleted", "repository", repository, "branch", branch, "head", head.CommitID, "user", user)
	return nil
}
