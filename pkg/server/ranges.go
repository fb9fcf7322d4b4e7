package server

import (
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// IngestRange writes the next range of a source.
func (h *handlers) IngestRange(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.StageRangeCreation
	var uri string
	_, ok := h.admit(w, r, limits.Body, func(data []byte) (err error) {
		if err = into(&body)(data); err == nil {
			uri, err = oneOf("fromSourceURI", body.FromSourceURI, "from_source_uri", body.FromSourceURIAlias)
		}
		return err
	})
	if !ok {
		return
	}
	got, err := h.service.IngestRange(r.Context(), repository, coordinator.Ingest{
		FromSourceURI:     uri,
		After:             body.After,
		Prepend:           body.Prepend,
		ContinuationToken: body.ContinuationToken,
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	resp := api.IngestRangeCreationResponse{Pagination: api.ImportPagination{
		HasMore: got.HasMore, LastKey: got.LastKey, ContinuationToken: got.ContinuationToken,
	}}
	if got.Range != nil {
		resp.Range = api.RangeMetadata{
			ID: got.Range.ID, MinKey: got.Range.MinKey, MaxKey: got.Range.MaxKey,
			Count: got.Range.Count, EstimatedSize: got.Range.EstimatedSize,
		}
	}
	answer(w, http.StatusCreated, resp)
}

// CreateMetaRange writes a metarange of ranges that were written before.
func (h *handlers) CreateMetaRange(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.MetaRangeCreation
	if _, ok := h.admit(w, r, limits.RangesBody, into(&body)); !ok {
		return
	}
	ranges := make([]partition.RangeMetadata, len(body.Ranges))
	for i, m := range body.Ranges {
		ranges[i] = partition.RangeMetadata{
			ID: m.ID, MinKey: m.MinKey, MaxKey: m.MaxKey, Count: m.Count, EstimatedSize: m.EstimatedSize,
		}
	}
	id, err := h.service.CreateMetarange(r.Context(), repository, ranges)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	answer(w, http.StatusCreated, api.MetaRangeCreationResponse{ID: id})
}
