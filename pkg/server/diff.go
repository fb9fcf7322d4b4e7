package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// DiffRefs answers a page of the differences of two refs.
func (h *handlers) DiffRefs(w http.ResponseWriter, r *http.Request, repository, left, right string, params api.DiffRefsParams) {
	if params.Type != "" && !params.Type.Valid() {
		refuse(w, http.StatusBadRequest, parameterError("type", "want two_dot or three_dot"))
		return
	}
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		d, err := h.differ.Diff(ctx, repository, left, right, params.Type != api.TwoDot)
		if err != nil {
			return nil, unreadable{err}
		}
		got, next, err := d.List(ctx, metarange.DiffQuery{
			Prefix: params.Prefix, After: params.After, Delimiter: params.Delimiter, Amount: amount, Enough: nearlyOver(ctx),
		})
		if err != nil {
			return nil, unreadable{err}
		}
		convert := func(d metarange.Difference) api.Diff { return diffOf(d, params.IncludeRightStats) }
		return api.DiffList{Pagination: pageOf(len(got), next), Results: convertAll(got, convert)}, nil
	})
}

// DiffBranch answers that a branch has no uncommitted changes.
func (h *handlers) DiffBranch(w http.ResponseWriter, r *http.Request, repository, branch string, params api.DiffBranchParams) {
	h.serveList(w, r, params.Amount, 0, func(ctx context.Context, _ int) (any, error) {
		_, err := h.catalog.Branch(ctx, repository, branch)
		return api.DiffList{Pagination: pageOf(0, ""), Results: []api.Diff{}}, err
	})
}

var diffTypes = map[metarange.Change]api.DiffType{
	metarange.KeyAdded: api.DiffTypeAdded, metarange.KeyRemoved: api.DiffTypeRemoved, metarange.KeyChanged: api.DiffTypeChanged,
	metarange.KeyConflict: api.DiffTypeConflict, metarange.PrefixChanged: api.DiffTypePrefixChanged,
}

// diffOf returns a difference as the API shows it, with the right object if stats is set.
func diffOf(d metarange.Difference, stats bool) api.Diff {
	if d.CommonPrefix != "" {
		return api.Diff{Type: diffTypes[d.Change], Path: d.CommonPrefix, PathType: api.DiffPathTypeCommonPrefix}
	}
	diff := api.Diff{Type: diffTypes[d.Change], Path: d.Entry.Key, PathType: api.DiffPathTypeObject, SizeBytes: &d.Entry.Size}
	if stats && !d.Gone {
		diff.Right = api.DiffObjectStat{
			Checksum: d.Entry.ETag, Mtime: d.Entry.ModTime.Unix(), ContentType: contentType, Metadata: &map[string]string{},
		}
	}
	return diff
}
