package server

import (
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// TrySource tests how a source is listed.
func (h *handlers) TrySource(w http.ResponseWriter, r *http.Request) {
	var body api.SourceTrialCreation
	if _, ok := h.requests.authenticateAndRead(w, r, func(data []byte) error {
		if err := into(&body)(data); err != nil {
			return err
		}
		if body.Seed < 0 {
			return fault.BadField("seed", "%d is negative", body.Seed)
		}
		return nil
	}); !ok {
		return
	}
	tried, err := h.service.TrySource(r.Context(), body.Source, uint64(body.Seed))
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	answer(w, http.StatusOK, sourceTrial(tried))
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
