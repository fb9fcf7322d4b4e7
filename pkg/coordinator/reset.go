package coordinator

import (
	"context"
)

// ResetBranch makes the commit that ref, a branch or a commit's ID, points at the head
// of a branch. It is a Conflict if somebody else moves the branch at the same time.
//
// An import into the branch that is about to land lands on the new head; one that has
// landed was made before the reset, which then takes its commit away.
func (s *Service) ResetBranch(ctx context.Context, user, repository, branch, ref string) error {
	head, err := s.cfg.Catalog.LatestBranch(ctx, repository, branch)
	if err != nil {
		return err
	}
	commit, err := s.cfg.Catalog.Resolve(ctx, repository, ref)
	if err != nil || commit.ID == head.CommitID {
		return err
	}
	if err := s.cfg.Catalog.ResetBranch(ctx, repository, head, commit.ID); err != nil {
		return err
	}
	s.cfg.Log.Info("branch reset", "repository", repository, "branch", branch, "from", head.CommitID, "to", commit.ID, "user", user)
	return nil
}
