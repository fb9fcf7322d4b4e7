package server

import (
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// HardResetBranch moves a branch to a commit.
func (h *handlers) HardResetBranch(w http.ResponseWriter, r *http.Request, repository, branch string, params api.HardResetBranchParams) {
	user, ok := h.admit(w, r, 0, nil)
	if !ok {
		return
	}
	if err := h.service.ResetBranch(r.Context(), user, repository, branch, params.Ref); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
