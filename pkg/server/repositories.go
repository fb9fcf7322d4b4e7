package server

import (
	"cmp"
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
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
	h.serveListTo(w, r, params.Amount, perResult, func(ctx context.Context, caller access.Caller, amount int) (any, error) {
		visible, err := h.visible(ctx, "listRepositories", caller)
		if err != nil {
			return nil, err
		}
		q := catalog.RepositoryQuery{Prefix: params.Prefix, Search: params.Search, After: params.After, Amount: amount}
		got, next, err := h.repositories(ctx, q, func(r catalog.Repository) bool {
			return visible(access.Request{Repository: r.ID})
		})
		return api.RepositoryList{Pagination: pageOf(len(got), next), Results: convertAll(got, repositoryOf)}, err
	})
}

// repositories returns the repositories that a query selects and keep keeps, and behind which
// the next page starts; "" if nothing follows. The page ends early once half of the time to
// answer is over, since a search may find little.
func (h *handlers) repositories(ctx context.Context, q catalog.RepositoryQuery, keep func(catalog.Repository) bool) (kept []catalog.Repository, next string, err error) {
	over := nearlyOver(ctx)
	for {
		got, more, err := h.catalog.Repositories(ctx, q)
		if err != nil {
			return nil, "", err
		}
		for i, r := range got {
			if q.After = r.ID; !keep(r) {
				continue
			}
			if kept = append(kept, r); len(kept) == q.Amount && (more || i < len(got)-1) {
				return kept, r.ID, nil
			}
		}
		if !more {
			return kept, "", nil
		}
		if over() {
			return kept, q.After, nil
		}
	}
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
	in := jsonBody(read).about(func(r *access.Request) {
		r.Repository, r.Namespace = body.Name, catalog.Directory(body.StorageNamespace)
	})
	h.serve(w, r, in, func(ctx context.Context, _ access.Caller) (int, any, error) {
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
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.catalog.Repository(ctx, repository)
		return http.StatusOK, repositoryOf(got), err
	})
}

// DeleteRepository deletes a repository.
func (h *handlers) DeleteRepository(w http.ResponseWriter, r *http.Request, repository string, _ api.DeleteRepositoryParams) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, h.service.DeleteRepository(ctx, repository)
	})
}
