package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

func branchOf(b catalog.Branch) api.Ref { return api.Ref{ID: b.Name, CommitID: b.CommitID} }

// ListBranches answers a page of branches.
func (h *handlers) ListBranches(w http.ResponseWriter, r *http.Request, repository string, params api.ListBranchesParams) {
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		list := h.branches.List
		if params.ShowHidden {
			list = h.branches.ListAll
		}
		got, more, err := list(ctx, repository, params.Prefix, params.After, amount)
		name := func(b catalog.Branch) string { return b.Name }
		return api.RefList{Pagination: pagination(got, more, name), Results: convertAll(got, branchOf)}, err
	})
}

// CreateBranch makes a branch and answers the commit that it points at.
func (h *handlers) CreateBranch(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.BranchCreation
	in := jsonBody(into(&body)).about(func(r *access.Request) { r.Branch = body.Name })
	h.serve(w, r, in, func(ctx context.Context, _ access.Caller) (int, any, error) {
		create := h.branches.Create
		if body.Hidden {
			create = h.branches.CreateHidden
		}
		got, err := create(ctx, repository, body.Name, body.Source)
		return http.StatusCreated, plainText(got.CommitID), err
	})
}

// GetBranch answers a branch.
func (h *handlers) GetBranch(w http.ResponseWriter, r *http.Request, repository, branch string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.catalog.Branch(ctx, repository, branch)
		return http.StatusOK, branchOf(got), err
	})
}

// DeleteBranch deletes a branch.
func (h *handlers) DeleteBranch(w http.ResponseWriter, r *http.Request, repository, branch string, _ api.DeleteBranchParams) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, h.service.DeleteBranch(ctx, caller.User, repository, branch)
	})
}

// ResetBranch answers that nothing is uncommitted.
func (h *handlers) ResetBranch(w http.ResponseWriter, r *http.Request, repository, branch string) {
	read := func(data []byte) error {
		body, err := decode[api.ResetCreation](data)
		if err == nil && body.Type == api.ResetCreationTypeObject && body.Path == "" {
			err = fault.BadField("path", missing)
		}
		return err
	}
	h.serve(w, r, jsonBody(read), func(ctx context.Context, _ access.Caller) (int, any, error) {
		_, err := h.catalog.Branch(ctx, repository, branch)
		return http.StatusNoContent, nil, err
	})
}

// HardResetBranch moves a branch to a commit.
func (h *handlers) HardResetBranch(w http.ResponseWriter, r *http.Request, repository, branch string, params api.HardResetBranchParams) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, h.service.ResetBranch(ctx, caller.User, repository, branch, params.Ref)
	})
}

// RevertBranch undoes the changes of a commit.
func (h *handlers) RevertBranch(w http.ResponseWriter, r *http.Request, repository, branch string) {
	var body api.RevertCreation
	in := jsonBody(into(&body))
	in.slow = true
	h.serve(w, r, in, func(ctx context.Context, caller access.Caller) (int, any, error) {
		_, err := h.service.Revert(ctx, coordinator.Revert{
			Repository: repository, Branch: branch, Ref: body.Ref, Parent: body.ParentNumber, AllowEmpty: body.AllowEmpty,
			Committer: caller.User, Message: body.CommitOverrides.Message, Metadata: body.CommitOverrides.Metadata,
		})
		return http.StatusNoContent, nil, err
	})
}
