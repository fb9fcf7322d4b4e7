package server

import (
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
)

// HardResetBranch moves a branch to a commit.
func (h *handlers) HardResetBranch(w http.ResponseWriter, r *http.Request, repository, branch string, params api.HardResetBranchParams) {
	user, ok := h.requests.authenticate(w, r)
	if !ok {
		return
	}
	if err := h.service.ResetBranch(r.Context(), user, repository, branch, params.Ref); err != nil {
		h.errors.answer(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// RevertBranch undoes the changes of a commit.
func (h *handlers) RevertBranch(w http.ResponseWriter, r *http.Request, repository, branch string) {
	var body api.RevertCreation
	user, ok := h.requests.authenticateAndRead(w, r, into(&body))
	if !ok {
		return
	}
	_, err := h.service.Revert(r.Context(), coordinator.Revert{
		Repository: repository, Branch: branch, Ref: body.Ref, Parent: body.ParentNumber, AllowEmpty: body.AllowEmpty,
		Committer: user, Message: body.CommitOverrides.Message, Metadata: body.CommitOverrides.Metadata,
	})
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
