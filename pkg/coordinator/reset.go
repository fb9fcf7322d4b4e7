package coordinator

import "context"

// ResetBranch makes the commit of ref, a branch or the ID of a commit, the head of a
// branch. It is a Conflict if another process moves the branch at the same time.
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
	s.cfg.Log.Info("branch reset", "repository", repository, "branch", branch, "from", head.CommitID, "to", commit.ID, "user", user)
	return nil
}
