package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
)

func tagOf(t catalog.Tag) api.Ref { return api.Ref{ID: t.Name, CommitID: t.CommitID} }

// ListTags answers a page of tags.
func (h *handlers) ListTags(w http.ResponseWriter, r *http.Request, repository string, params api.ListTagsParams) {
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		got, more, err := h.tags.List(ctx, repository, params.Prefix, params.After, amount)
		name := func(t catalog.Tag) string { return t.Name }
		return api.RefList{Pagination: pagination(got, more, name), Results: convertAll(got, tagOf)}, err
	})
}

// CreateTag makes a tag.
func (h *handlers) CreateTag(w http.ResponseWriter, r *http.Request, repository string) {
	var body api.TagCreation
	in := jsonBody(into(&body)).about(func(r *access.Request) { r.Tag = body.ID })
	h.serve(w, r, in, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.tags.Create(ctx, repository, body.ID, body.Ref)
		return http.StatusCreated, tagOf(got), err
	})
}

// GetTag answers a tag.
func (h *handlers) GetTag(w http.ResponseWriter, r *http.Request, repository, tag string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.tags.Get(ctx, repository, tag)
		return http.StatusOK, tagOf(got), err
	})
}

// DeleteTag deletes a tag.
func (h *handlers) DeleteTag(w http.ResponseWriter, r *http.Request, repository, tag string, _ api.DeleteTagParams) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, h.tags.Delete(ctx, repository, tag)
	})
}
