package server

import (
	"cmp"
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

func repositoryOf(r catalog.Repository) api.Repository {
	return api.Repository{
		ID:               r.ID,
		StorageNamespace: r.StorageNamespace,
		DefaultBranch:    r.DefaultBranch,
		CreationDate:     max(0, r.Created.Unix()), // it is unknown if there is a problem
		Problem:          r.Problem,
	}
}

// ListRepositories answers a page of repositories.
func (h *handlers) ListRepositories(w http.ResponseWriter, r *http.Request, params api.ListRepositoriesParams) {
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		got, more, err := h.catalog.Repositories(ctx, catalog.RepositoryQuery{
			Prefix: params.Prefix, Search: params.Search, After: params.After, Amount: amount,
		})
		name := func(r catalog.Repository) string { return r.ID }
		return api.RepositoryList{Pagination: pagination(got, more, name), Results: convertAll(got, repositoryOf)}, err
	})
}

// CreateRepository makes a repository with its default branch.
func (h *handlers) CreateRepository(w http.ResponseWriter, r *http.Request, params api.CreateRepositoryParams) {
	if params.Bare {
		refuse(w, http.StatusBadRequest, parameterError("bare", "true is not supported"))
		return
	}
	var body api.RepositoryCreation
	read := func(data []byte) error {
		if err := into(&body)(data); err != nil {
			return err
		}
		return checkCreation(body)
	}
	h.serve(w, r, jsonBody(read), func(ctx context.Context, _ string) (int, any, error) {
		repository := catalog.Repository{
			ID: body.Name, StorageNamespace: body.StorageNamespace, DefaultBranch: cmp.Or(body.DefaultBranch, "main"),
		}
		err := h.catalog.CheckRepository(ctx, repository)
		if err == nil { // only after the cheap checks: this stores a file there
			err = h.service.CheckNamespace(ctx, repository.StorageNamespace)
		}
		if err == nil {
			repository, err = h.catalog.CreateRepository(ctx, repository)
		}
		return http.StatusCreated, repositoryOf(repository), err
	})
}

// checkCreation refuses what lakeFS offers for a new repository, and this catalog does not.
func checkCreation(c api.RepositoryCreation) error {
	switch {
	case c.StorageID != "":
		return fault.BadField("storage_id", "%q is unknown: there is one storage, whose id is empty", c.StorageID)
	case c.SampleData:
		return fault.BadField("sample_data", "true is not supported: import what the repository is to hold")
	case c.ReadOnly:
		return fault.BadField("read_only", "true is not supported")
	}
	return nil
}

// GetRepository answers a repository.
func (h *handlers) GetRepository(w http.ResponseWriter, r *http.Request, repository string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ string) (int, any, error) {
		got, err := h.catalog.Repository(ctx, repository)
		return http.StatusOK, repositoryOf(got), err
	})
}

// DeleteRepository deletes a repository.
func (h *handlers) DeleteRepository(w http.ResponseWriter, r *http.Request, repository string, _ api.DeleteRepositoryParams) {
	h.serve(w, r, input{}, func(ctx context.Context, _ string) (int, any, error) {
		return http.StatusNoContent, nil, h.service.DeleteRepository(ctx, repository)
	})
}
