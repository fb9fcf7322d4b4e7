package server

import (
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// page returns results as the API shows them, and the position of the page. name returns
// the name after which the next page starts.
func page[T, R any](results []T, more bool, name func(T) string, show func(T) R) (api.Pagination, []R) {
	shown := make([]R, len(results))
	for i, v := range results {
		shown[i] = show(v)
	}
	p := api.Pagination{HasMore: more, MaxPerPage: limits.Results, Results: len(results)}
	if more {
		p.NextOffset = name(results[len(results)-1])
	}
	return p, shown
}

func repositoryOf(r catalog.Repository) api.Repository {
	return api.Repository{
		ID:               r.ID,
		StorageNamespace: r.StorageNamespace,
		DefaultBranch:    r.DefaultBranch,
		CreationDate:     max(0, r.Created.Unix()), // it is unknown if there is a problem
		Problem:          r.Problem,
	}
}

func branchOf(b catalog.Branch) api.Ref { return api.Ref{ID: b.Name, CommitID: b.CommitID} }

// ListRepositories answers a page of repositories.
func (h *handlers) ListRepositories(w http.ResponseWriter, r *http.Request, params api.ListRepositoriesParams) {
	amount, ok := h.requests.authenticatePage(w, r, params.Amount, perResult)
	if !ok {
		return
	}
	got, more, err := h.catalog.Repositories(r.Context(), params.Prefix, params.After, amount)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	var resp api.RepositoryList
	resp.Pagination, resp.Results = page(got, more, func(r catalog.Repository) string { return r.ID }, repositoryOf)
	answer(w, http.StatusOK, resp)
}

// CreateRepository makes a repository with its default branch.
func (h *handlers) CreateRepository(w http.ResponseWriter, r *http.Request) {
	var body api.RepositoryCreation
	if _, ok := h.requests.authenticateAndRead(w, r, into(&body)); !ok {
		return
	}
	if body.DefaultBranch == "" {
		body.DefaultBranch = "main"
	}
	repository := catalog.Repository{ID: body.Name, StorageNamespace: body.StorageNamespace, DefaultBranch: body.DefaultBranch}
	err := h.catalog.CheckRepository(r.Context(), repository)
	if err == nil { // only after the cheap checks: this stores a file there
		err = h.service.CheckNamespace(r.Context(), repository.StorageNamespace)
	}
	if err == nil {
		repository, err = h.catalog.CreateRepository(r.Context(), repository)
	}
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	answer(w, http.StatusCreated, repositoryOf(repository))
}

// GetRepository answers a repository.
func (h *handlers) GetRepository(w http.ResponseWriter, r *http.Request, repository string) {
	if _, ok := h.requests.authenticate(w, r); !ok {
		return
	}
	got, err := h.catalog.Repository(r.Context(), repository)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	answer(w, http.StatusOK, repositoryOf(got))
}

// DeleteRepository deletes a repository.
func (h *handlers) DeleteRepository(w http.ResponseWriter, r *http.Request, repository string) {
	if _, ok := h.requests.authenticate(w, r); !ok {
		return
	}
	if err := h.service.DeleteRepository(r.Context(), repository); err != nil {
		h.errors.answer(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ListBranches answers a page of branches.
func (h *handlers) ListBranches(w http.ResponseWriter, r *http.Request, repository string, params api.ListBranchesParams) {
	amount, ok := h.requests.authenticatePage(w, r, params.Amount, perResult)
	if !ok {
		return
	}
	got, more, err := h.catalog.Branches(r.Context(), repository, params.Prefix, params.After, amount)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	var resp api.RefList
	resp.Pagination, resp.Results = page(got, more, func(b catalog.Branch) string { return b.Name }, branchOf)
	answer(w, http.StatusOK, resp)
}

// CreateBranch makes a branch and answers the commit that it points at.
func (h *handlers) CreateBranch(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.BranchCreation
	if _, ok := h.requests.authenticateAndRead(w, r, into(&body)); !ok {
		return
	}
	got, err := h.catalog.CreateBranch(r.Context(), repository, body.Name, body.Source)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	answer(w, http.StatusCreated, got.CommitID)
}

// GetBranch answers a branch.
func (h *handlers) GetBranch(w http.ResponseWriter, r *http.Request, repository, branch string) {
	if _, ok := h.requests.authenticate(w, r); !ok {
		return
	}
	got, err := h.catalog.Branch(r.Context(), repository, branch)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	answer(w, http.StatusOK, branchOf(got))
}

// LogCommits answers a page of a ref's commits, newest first.
func (h *handlers) LogCommits(w http.ResponseWriter, r *http.Request, repository, ref string, params api.LogCommitsParams) {
	amount, ok := h.requests.authenticatePage(w, r, params.Amount, perCommit)
	if !ok {
		return
	}
	got, more, err := h.catalog.Log(r.Context(), repository, ref, params.After, amount)
	if err != nil {
		h.errors.answer(w, r, err)
		return
	}
	var resp api.CommitList
	resp.Pagination, resp.Results = page(got, more, func(c catalog.Commit) string { return c.ID }, commitOf)
	answer(w, http.StatusOK, resp)
}
