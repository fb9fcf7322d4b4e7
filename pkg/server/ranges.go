package server

import (
	"io"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// IngestRange writes the next range of a source.
func (h *handlers) IngestRange(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.StageRangeCreation
	var uri string
	user, ok := h.requests.receive(w, r, need{limits.Body, perByte, forRange}, whole(func(data []byte) (err error) {
		if err = into(&body)(data); err == nil {
			uri, err = oneOf("fromSourceURI", body.FromSourceURI, "from_source_uri", body.FromSourceURIAlias)
		}
		return err
	}))
	if !ok {
		return
	}
	purpose := []string{"ingest range", user, repository, uri, body.Prepend}
	after := body.After
	if body.ContinuationToken != "" {
		var err error
		if after, err = h.sealer.Open(body.ContinuationToken, purpose...); err != nil {
			h.errors.answer(w, r, fault.BadField("continuation_token", "not of an answer to this user, for this repository, source and prepend"))
			return
		}
	}
	got, err := h.service.IngestRange(r.Context(), repository, coordinator.Ingest{
		FromSourceURI: uri, After: after, Prepend: body.Prepend,
	})
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	resp := api.IngestRangeCreationResponse{Pagination: api.ImportPagination{HasMore: got.HasMore, LastKey: got.LastKey}}
	if got.HasMore {
		resp.Pagination.ContinuationToken = h.sealer.Seal(got.LastKey, purpose...)
	}
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
	var ranges []partition.RangeMetadata
	_, ok := h.requests.receive(w, r, need{body: limits.RangesBody, perByte: perRangeByte}, func(body io.Reader) (err error) {
		ranges, err = readRanges(body)
		return err
	})
	if !ok {
		return
	}
	id, err := h.service.CreateMetarange(r.Context(), repository, ranges)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	answer(w, http.StatusCreated, api.MetaRangeCreationResponse{ID: id})
}
