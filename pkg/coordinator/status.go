package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
)

// Status is how far an import is.
type Status struct {
	ID         string
	Record     imports.Record
	Objects    int64           // distinct keys covered so far; never falls
	Ranges     int             // ranges covered so far
	Partitions int             // partitions queued or running
	Updated    time.Time       // now while the import runs; else when it ended
	Commit     *catalog.Commit // set exactly if it is completed
}

// get returns the record of an import of the repository, or a NotFound fault.
func (s *Service) get(ctx context.Context, repository, id string) (imports.Record, error) {
	record, err := s.state.Imports.Get(ctx, id)
	if err == nil && record.Request.Repository != repository {
		err = fault.Missing("import " + id)
	}
	return record, err
}

// errStopped is the error of a request that only a service that runs can answer.
var errStopped = errors.New("the service has stopped")

// look returns the record of an import of the repository and, unless the import has
// ended, its progress. All covers that are stored by now have come in, except in a service
// that has just started and may need longer than a caller can wait.
func (s *Service) look(ctx context.Context, repository, id string) (imports.Record, *follow.Progress, error) {
	record, err := s.get(ctx, repository, id)
	if err != nil || record.State.Ended() {
		return record, nil, err
	}
	if p := s.follow(id); p != nil {
		stored, err := s.state.Backend.Covers.Count(ctx, id)
		if err != nil {
			return record, nil, err
		}
		if p.Await(ctx, stored) {
			return record, p, nil
		}
	}
	record, err = s.get(ctx, repository, id) // it has ended since it was read
	if err == nil && !record.State.Ended() {
		err = errStopped
	}
	return record, nil, err
}

// Status returns how far an import of the repository is. It is NotFound if there is none.
func (s *Service) Status(ctx context.Context, repository, id string) (Status, error) {
	record, p, err := s.look(ctx, repository, id)
	if err != nil {
		return Status{}, err
	}
	status := Status{ID: id, Record: record, Objects: record.Objects, Updated: record.Updated}
	switch {
	case p != nil:
		status.Updated = s.cfg.Now().UTC()
		status.Objects, status.Ranges = p.Covered()
		if status.Partitions, err = s.state.Backend.Queue.OutstandingCount(ctx, id); err != nil {
			return Status{}, err
		}
	case record.State == imports.Completed:
		commit, err := s.state.Catalog.Commit(ctx, repository, record.Attempt.CommitID)
		if err != nil {
			return Status{}, err
		}
		status.Commit, status.Ranges = &commit, record.Attempt.Ranges
	}
	return status, nil
}

// Cancel ends a running import. It is a Conflict once the import commits, or is
// completed.
func (s *Service) Cancel(ctx context.Context, repository, id string) error {
	_, p, err := s.look(ctx, repository, id)
	if err != nil {
		return err
	}
	var objects int64
	if p != nil {
		objects, _ = p.Covered()
	}
	record, err := s.state.Imports.Apply(ctx, id, func(r imports.Record) (imports.Record, error) {
		return r.Cancel(s.cfg.Now().UTC(), objects)
	})
	if err != nil {
		return err
	}
	if err := s.state.Backend.Discard(ctx, id); err != nil {
		// It is canceled all the same, since workers look at the record.
		s.cfg.Log.Warn("discard the partitions of a canceled import", "import_id", id, "err", err)
	}
	return s.cleanup.retire(ctx, record)
}

// Tree opens the tree of ref, a branch or the ID of a commit.
func (s *Service) Tree(ctx context.Context, repository, ref string) (*metarange.Tree, error) {
	r, err := s.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	commit, err := s.state.Catalog.Resolve(ctx, repository, ref)
	if err != nil {
		return nil, err
	}
	files, err := namespace.Open(ctx, s.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return nil, err
	}
	return metarange.Open(ctx, s.tables.In(r.StorageNamespace, files), commit.MetarangeID)
}
