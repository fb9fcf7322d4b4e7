package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
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
		tokens := rangeTokens{h.sealer, h.now, []string{"ingest range", caller.User, repository, uri, body.Prepend}}
		after, err := tokens.after(body)
		if err != nil {
			return 0, nil, err
		}
		got, err := h.service.IngestRange(ctx, repository, coordinator.Ingest{FromSourceURI: uri, After: after, Prepend: body.Prepend})
		resp := api.IngestRangeCreationResponse{Pagination: api.ImportPagination{HasMore: got.HasMore, LastKey: got.LastKey}}
		if got.HasMore {
			resp.Pagination.ContinuationToken = tokens.token(got.LastKey)
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

// errContinuation says nothing of what is wrong with a token.
var errContinuation = fault.BadField("", "invalid continuation token")

// rangeTokens are the continuation tokens of the ranges of one source, for one user.
type rangeTokens struct {
	sealer  *auth.Sealer
	now     func() time.Time
	purpose []string
}

// token returns a token with which the next range starts after a key.
func (t rangeTokens) token(key string) string {
	return t.sealer.Seal(fmt.Sprintf("%d %s", t.now().Unix(), key), t.purpose...)
}

// after returns the key after which the range that is asked for starts. No answer has a staging
// token, so each is one of somebody else.
func (t rangeTokens) after(asked api.StageRangeCreation) (string, error) {
	if asked.StagingToken != "" {
		return "", errContinuation
	}
	if asked.ContinuationToken == "" {
		return asked.After, nil
	}
	text, err := t.sealer.Open(asked.ContinuationToken, t.purpose...)
	if err != nil {
		return "", errContinuation
	}
	made, key, ok := strings.Cut(text, " ")
	seconds, err := strconv.ParseInt(made, 10, 64)
	if err != nil || !ok || t.now().Sub(time.Unix(seconds, 0)) > limits.ContinuationTime*time.Second {
		return "", errContinuation
	}
	return key, nil
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
		if errors.Is(err, coordinator.ErrRange) {
			h.log.InfoContext(ctx, "ranges are refused", "request_id", requestID(w), "err", err)
		}
		return http.StatusCreated, api.MetaRangeCreationResponse{ID: id}, err
	})
}
