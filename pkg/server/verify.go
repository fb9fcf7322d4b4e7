package server

import (
	"context"
	"iter"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// Inspector is what the server needs of *inspect.Inspector.
type Inspector interface {
	Verify(ctx context.Context, repository, id, after string) (iter.Seq2[metarange.Verified, error], error)
}

// VerifyMetaRange answers a page of the ranges of a tree, each with what is wrong with its
// file.
func (h *handlers) VerifyMetaRange(w http.ResponseWriter, r *http.Request, repository, id string, params api.VerifyMetaRangeParams) {
	h.serveList(w, r, params.Amount, perVerified, func(ctx context.Context, amount int) (any, error) {
		if !h.verifications.tryAcquire() {
			return nil, fault.TooMany("%d trees are being verified, the most at a time: try again", limits.Verifications)
		}
		defer h.verifications.release()
		ranges, err := h.inspect.Verify(ctx, repository, id, params.After)
		if err != nil {
			return nil, err
		}
		return verifiedPage(ranges, amount, nearlyOver(ctx))
	})
}

// verifiedPage returns the first ranges, at most amount, and fewer if over reports that the
// time is over.
func verifiedPage(ranges iter.Seq2[metarange.Verified, error], amount int, over func() bool) (api.VerifiedRangeList, error) {
	results := []api.VerifiedRange{}
	more := false
	for v, err := range ranges {
		if err != nil {
			return api.VerifiedRangeList{}, unreadable{err}
		}
		results = append(results, verifiedRange(v))
		if more = len(results) == amount || over(); more {
			break
		}
	}
	name := func(r api.VerifiedRange) string { return r.MaxKey }
	return api.VerifiedRangeList{Pagination: pagination(results, more, name), Results: results}, nil
}

func verifiedRange(v metarange.Verified) api.VerifiedRange {
	r := api.VerifiedRange{
		ID: v.Range.ID, MinKey: v.Range.MinKey, MaxKey: v.Range.MaxKey, Count: v.Range.Count, EstimatedSize: v.Range.EstimatedSize,
	}
	if v.Fault != nil {
		r.Fault = v.Fault.Error()
	}
	return r
}
