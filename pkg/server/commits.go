package server

import (
	"context"
	"maps"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
)

// commitVersion is lakeFS's version of commits: how they refer to their parents.
const commitVersion = 1

// commitOf returns a commit as the API shows it. Lists and maps are never null.
func commitOf(c catalog.Commit) api.Commit {
	resp := api.Commit{
		ID:           c.ID,
		Parents:      append([]string{}, c.Parents...),
		Committer:    c.Committer,
		Message:      c.Message,
		CreationDate: c.Created.Unix(),
		MetaRangeID:  c.MetarangeID,
		Metadata:     api.UserMetadata{},
		Generation:   int64(c.Generation),
		Version:      commitVersion,
	}
	maps.Copy(resp.Metadata, c.Metadata)
	return resp
}

// LogCommits answers a page of a ref's commits, newest first.
func (h *handlers) LogCommits(w http.ResponseWriter, r *http.Request, repository, ref string, params api.LogCommitsParams) {
	h.serveList(w, r, params.Amount, perCommit, func(ctx context.Context, amount int) (any, error) {
		got, more, err := h.catalog.Log(ctx, repository, ref, params.After, amount)
		name := func(c catalog.Commit) string { return c.ID }
		return api.CommitList{Pagination: pagination(got, more, name), Results: convertAll(got, commitOf)}, err
	})
}
