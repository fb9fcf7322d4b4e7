package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// readTree opens the tree at a ref and reads from it.
func readTree[T any](ctx context.Context, s Service, repository, ref string, read func(*metarange.Tree) (T, error)) (got T, err error) {
	tree, err := s.Tree(ctx, repository, ref)
	if err == nil {
		got, err = read(tree)
	}
	if err != nil {
		err = unreadable{err}
	}
	return got, err
}

// ListObjects answers a page of the tree at a ref.
func (h *handlers) ListObjects(w http.ResponseWriter, r *http.Request, repository, ref string, params api.ListObjectsParams) {
	if refusePresign(w, params.Presign) {
		return
	}
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		return readTree(ctx, h.service, repository, ref, func(tree *metarange.Tree) (api.ObjectStatsList, error) {
			got, more, err := tree.List(ctx, params.Prefix, params.After, params.Delimiter, amount)
			name := func(it metarange.Item) string { return it.CommonPrefix + it.Entry.Key }
			return api.ObjectStatsList{Pagination: pagination(got, more, name), Results: convertAll(got, itemOf)}, err
		})
	})
}

// StatObject answers one object of the tree at a ref.
func (h *handlers) StatObject(w http.ResponseWriter, r *http.Request, repository, ref string, params api.StatObjectParams) {
	if refusePresign(w, params.Presign) {
		return
	}
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.entryAt(ctx, repository, ref, params.Path)
		return http.StatusOK, objectOf(got), err
	})
}

// refusePresign answers a request for signed URLs, which this server does not make, and
// reports whether it did.
func refusePresign(w http.ResponseWriter, asked bool) bool {
	if asked {
		refuse(w, http.StatusBadRequest, parameterError("presign", "true is not supported: this server signs no URLs"))
	}
	return asked
}

// contentType is that of every object: a listing tells no other.
const contentType = "application/octet-stream"

func objectOf(e entry.Entry) api.ObjectStats {
	return api.ObjectStats{
		Path:            e.Key,
		PathType:        api.ObjectStatsPathTypeObject,
		PhysicalAddress: e.Address,
		Checksum:        e.ETag,
		Mtime:           e.ModTime.Unix(),
		SizeBytes:       e.Size,
		ContentType:     contentType,
		Metadata:        &map[string]string{},
	}
}

func itemOf(it metarange.Item) api.ObjectStats {
	if it.CommonPrefix == "" {
		return objectOf(it.Entry)
	}
	return api.ObjectStats{Path: it.CommonPrefix, PathType: api.ObjectStatsPathTypeCommonPrefix}
}
