package server

import (
	"context"
	"io"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
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
	in := jsonBody(func(data []byte) (err error) {
		if err = into(&body)(data); err == nil {
			uri, err = oneOf("fromSourceURI", body.FromSourceURI, "from_source_uri", body.FromSourceURIAlias)
		}
		return err
	})
	in.fixed, in.slow = forRange, true
	in.names = func(r *access.Request) (err error) {
		r.Paths, err = coordinator.SourceOf("fromSourceURI", uri, body.Prepend)
		return err
	}
	h.serve(w, r, in, func(ctx context.Context, caller access.Caller) (int, any, error) {
		purpose := []string{"ingest range", caller.User, repository, uri, body.Prepend}
		after := body.After
		if body.ContinuationToken != "" {
			var err error
			if after, err = h.sealer.Open(body.ContinuationToken, purpose...); err != nil {
				return 0, nil, fault.BadField("continuation_token", "not of an answer to this user, for this repository, source and prepend")
			}
		}
		got, err := h.service.IngestRange(ctx, repository, coordinator.Ingest{FromSourceURI: uri, After: after, Prepend: body.Prepend})
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
		return http.StatusCreated, resp, err
	})
}

// CreateMetaRange writes a metarange of ranges that were written before.
func (h *handlers) CreateMetaRange(w http.ResponseWriter, r *http.Request, repository string) {
	var ranges []partition.RangeMetadata
	in := input{limit: limits.RangesBody, perByte: perRangeByte, slow: true, read: func(body io.Reader) (err error) {
		ranges, err = readRanges(body)
		return err
	}}
	h.serve(w, r, in, func(ctx context.Context, _ access.Caller) (int, any, error) {
		id, err := h.service.CreateMetarange(ctx, repository, ranges)
		return http.StatusCreated, api.MetaRangeCreationResponse{ID: id}, err
	})
}
