package server

import (
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// ListObjects answers a page of the tree at a ref.
func (h *handlers) ListObjects(w http.ResponseWriter, r *http.Request, repository, ref string, params api.ListObjectsParams) {
	amount, ok := h.requests.authenticatePage(w, r, params.Amount, perResult)
	if !ok {
		return
	}
	tree, err := h.service.Tree(r.Context(), repository, ref)
	if err != nil {
		h.errors.answerUnreadable(w, r, err)
		return
	}
	got, more, err := tree.List(r.Context(), params.Prefix, params.After, params.Delimiter, amount)
	if err != nil {
		h.errors.answerUnreadable(w, r, err)
		return
	}
	var resp api.ObjectStatsList
	resp.Pagination, resp.Results = page(got, more, itemName, itemOf)
	answer(w, http.StatusOK, resp)
}

// StatObject answers one object of the tree at a ref.
func (h *handlers) StatObject(w http.ResponseWriter, r *http.Request, repository, ref string, params api.StatObjectParams) {
	if _, ok := h.requests.authenticate(w, r); !ok {
		return
	}
	tree, err := h.service.Tree(r.Context(), repository, ref)
	if err != nil {
		h.errors.answerUnreadable(w, r, err)
		return
	}
	got, err := tree.Stat(r.Context(), params.Path)
	if err != nil {
		h.errors.answerUnreadable(w, r, err)
		return
	}
	answer(w, http.StatusOK, objectOf(got))
}

func objectOf(e entry.Entry) api.ObjectStats {
	return api.ObjectStats{
		Path:            e.Key,
		PathType:        api.ObjectStatsPathTypeObject,
		PhysicalAddress: e.Address,
		Checksum:        e.ETag,
		Mtime:           e.ModTime.Unix(),
		SizeBytes:       e.Size,
	}
}

func itemOf(it metarange.Item) api.ObjectStats {
	if it.CommonPrefix == "" {
		return objectOf(it.Entry)
	}
	return api.ObjectStats{Path: it.CommonPrefix, PathType: api.ObjectStatsPathTypeCommonPrefix}
}

func itemName(it metarange.Item) string { return it.CommonPrefix + it.Entry.Key }
