package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// TrySource tests how a source is listed.
func (h *handlers) TrySource(w http.ResponseWriter, r *http.Request) {
	var body api.SourceTrialCreation
	read := func(data []byte) error {
		err := into(&body)(data)
		if err == nil && body.Seed < 0 {
			err = fault.BadField("seed", "%d is negative", body.Seed)
		}
		return err
	}
	in := jsonBody(read)
	in.names = func(r *access.Request) (err error) {
		r.Paths, err = coordinator.SourceOf("source", body.Source, "")
		return err
	}
	h.serve(w, r, in, func(ctx context.Context, _ access.Caller) (int, any, error) {
		tried, err := h.service.TrySource(ctx, body.Source, uint64(body.Seed))
		return http.StatusOK, sourceTrial(tried), err
	})
}

func sourceTrial(t coordinator.Tried) api.SourceTrial {
	walk := t.Report.Walk
	return api.SourceTrial{
		Source: t.Source.String(), Store: t.Store, Known: t.Known, Encodes: t.Encodes,
		Listing: api.SourceListing{Mode: api.SourceListingMode(t.Listing.Mode), Why: t.Listing.Why},
		Walk: api.SourceWalk{
			Keys: len(walk.Keys), Pages: walk.Pages, Complete: walk.Complete, Repeated: walk.Repeated, Fault: t.Report.WalkFault,
		},
		Starts: api.SourceStarts{Tried: t.Report.Tried, Changed: t.Report.Changed, Fault: sourceFault(t.Report.Fault)},
		Lists:  t.Report.Lists, Seed: int64(t.Seed), CutShort: t.Report.CutShort,
	}
}

func sourceFault(f *trial.Fault) api.SourceFault {
	if f == nil {
		return api.SourceFault{}
	}
	return api.SourceFault{
		After: f.Start.After, What: f.Start.What, PageKeys: f.Start.Keys,
		Want: f.Contradiction.Want, Got: f.Contradiction.Got, Message: f.Words,
	}
}
