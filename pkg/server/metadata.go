package server

import (
	"context"
	"maps"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// GetRepositoryMetadata answers the metadata of a repository.
func (h *handlers) GetRepositoryMetadata(w http.ResponseWriter, r *http.Request, repository string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.catalog.Repository(ctx, repository)
		metadata := api.UserMetadata{} // never null
		maps.Copy(metadata, got.Metadata)
		return http.StatusOK, metadata, err
	})
}

// SetRepositoryMetadata adds to the metadata of a repository.
func (h *handlers) SetRepositoryMetadata(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.RepositoryMetadataSet
	h.serve(w, r, jsonBody(into(&body)), func(ctx context.Context, _ access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, h.catalog.EditMetadata(ctx, repository, nil, body.Metadata)
	})
}

// DeleteRepositoryMetadata removes names from the metadata of a repository.
func (h *handlers) DeleteRepositoryMetadata(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.RepositoryMetadataKeys
	h.serve(w, r, jsonBody(into(&body)), func(ctx context.Context, _ access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, h.catalog.EditMetadata(ctx, repository, body.Keys, nil)
	})
}
