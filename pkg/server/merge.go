package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator/edit"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// MergeIntoBranch merges a ref into a branch.
func (h *handlers) MergeIntoBranch(w http.ResponseWriter, r *http.Request, repository, source, destination string) {
	var body api.Merge
	h.serve(w, r, jsonBody(optional(into(&body))), func(ctx context.Context, caller access.Caller) (int, any, error) {
		got, err := h.editor.Merge(ctx, edit.Merge{
			Repository: repository, Source: source, Destination: destination, Strategy: body.Strategy,
			Squash: body.SquashMerge, AllowEmpty: body.AllowEmpty || body.Force,
			Committer: caller.User, Message: body.Message, Metadata: body.Metadata,
		})
		if fault.Is(err, fault.Conflict) { // clients read a reference, people the message
			return http.StatusConflict, api.MergeConflict{Message: err.Error()}, nil
		}
		return http.StatusOK, api.MergeResult{Reference: got.ID}, err
	})
}

// FindMergeBase answers the merge base of two refs. The fields are what their names say: in
// lakeFS 1.83 source and destination are exchanged.
func (h *handlers) FindMergeBase(w http.ResponseWriter, r *http.Request, repository, source, destination string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.editor.MergeBase(ctx, repository, source, destination)
		return http.StatusOK, api.FindMergeBaseResult{
			SourceCommitID: got.Source.ID, DestinationCommitID: got.Destination.ID, BaseCommitID: got.Base.ID,
		}, err
	})
}
