package server

import (
	"context"
	"iter"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator/inspect"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// Inspector is what the server needs of *inspect.Inspector.
type Inspector interface {
	Verify(ctx context.Context, repository, id, after string) (iter.Seq2[metarange.Verified, error], error)
	Compare(ctx context.Context, q inspect.Question) (inspect.Comparison, error)
}

// VerifyMetaRange answers a page of the ranges of a tree, each with what is wrong with its
// file.
func (h *handlers) VerifyMetaRange(w http.ResponseWriter, r *http.Request, repository, id string, params api.VerifyMetaRangeParams) {
	h.serveList(w, r, params.Amount, perVerified, func(ctx context.Context, amount int) (any, error) {
		release, err := h.mayVerify(ctx, r, repository, id)
		if err != nil {
			return nil, err
		}
		defer release()
		ranges, err := h.inspect.Verify(ctx, repository, id, params.After)
		if err != nil {
			return nil, err
		}
		return verifiedPage(ranges, amount, nearlyOver(ctx))
	})
}

// mayVerify takes one of the slots for trees that are read as a whole, if the caller may read
// the tree. Without a lakeFS server every caller may.
func (h *handlers) mayVerify(ctx context.Context, r *http.Request, repository, id string) (release func(), err error) {
	if h.gate != nil {
		if err := h.gate.MayList(ctx, lakefs.Forward(r), repository, id); err != nil {
			return nil, err
		}
	}
	if !h.verifications.tryAcquire() {
		return nil, fault.TooMany("%d trees are being verified, the most at a time: try again", limits.Verifications)
	}
	return h.verifications.release, nil
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
