package coordinator

import (
	"cmp"
	"context"
	"errors"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// defaultMessage is the message of a commit for which the request has none.
const defaultMessage = "Import objects"

// Start is a request to import paths into a branch.
type Start struct {
	Request imports.Request
	Paths   []imports.Path
}

// Start checks a request, stores the import, and only then returns its ID. The same
// request again, while its import runs, returns the same ID.
func (s *Service) Start(ctx context.Context, start Start) (id string, err error) {
	repository, err := s.validate.start(ctx, start)
	if err != nil {
		return "", err
	}
	start.Request.Message = cmp.Or(start.Request.Message, defaultMessage)
	job := imports.Job{
		ImportID:  xid.New().String(),
		Namespace: repository.StorageNamespace, Incarnation: repository.Incarnation,
		Paths:   start.Paths,
		Breaks:  s.cfg.Breaks,
		Markers: s.cfg.Markers,
	}
	record := imports.New(job, start.Request, s.cfg.Now().UTC())
	record.Driver = s.session
	id, err = s.state.Imports.Claim(ctx, record)
	if errors.Is(err, kv.ErrTooLarge) {
		return "", fault.BadField("paths", "together they are %v", kv.ErrTooLarge)
	}
	if err != nil {
		return "", err
	}
	if id != record.Job.ImportID {
		return id, nil
	}
	s.metrics.started.Inc()
	s.cfg.Log.Info("import accepted", "import_id", id, "repository", repository.ID, "branch", start.Request.Branch,
		"paths", len(start.Paths), "user", start.Request.Committer)
	if s.running.Load() {
		s.startDriver(id)
	}
	return id, nil
}
