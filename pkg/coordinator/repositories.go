package coordinator

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// DeleteRepository deletes a repository, and nothing in the store. It is a Conflict while
// imports into the repository run. An import that is accepted at the same moment fails
// when it is about to land.
func (s *Service) DeleteRepository(ctx context.Context, id string) error {
	if _, err := s.state.Catalog.Repository(ctx, id); err != nil && !fault.Is(err, fault.Broken) {
		return err
	}
	var running []string
	err := eachImport(ctx, s.state.Imports, func(r imports.Record) error {
		if r.Request.Repository == id && !r.State.Ended() {
			running = append(running, r.Job.ImportID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return fault.Conflicting("repository %q has running imports (%d), such as %s: cancel them or let them end", id, len(running), running[0])
	}
	if err := s.state.Catalog.DeleteRepository(ctx, id); err != nil {
		return err
	}
	s.cfg.Log.Info("repository deleted", "repository", id)
	return nil
}
