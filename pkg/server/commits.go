package server

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/limits"
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

// GetCommit answers the commit that a ref points at.
func (h *handlers) GetCommit(w http.ResponseWriter, r *http.Request, repository, ref string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.catalog.Resolve(ctx, repository, ref)
		return http.StatusOK, commitOf(got), err
	})
}

// LogCommits answers a page of a ref's commits.
func (h *handlers) LogCommits(w http.ResponseWriter, r *http.Request, repository, ref string, params api.LogCommitsParams) {
	for name, values := range map[string][]string{"objects": params.Objects, "prefixes": params.Prefixes} {
		if err := limits.Count(name, len(values), limits.LogPaths); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	h.serveList(w, r, params.Amount, perCommit, func(ctx context.Context, amount int) (any, error) {
		keep, err := h.touching(ctx, repository, params)
		if err != nil {
			return nil, err
		}
		got, err := h.catalog.Log(ctx, repository, catalog.LogQuery{
			Ref: ref, After: params.After, Amount: amount,
			FirstParent: params.FirstParent, StopAt: params.StopAt, Since: params.Since, Keep: keep, Enough: nearlyOver(ctx),
		})
		if params.Limit && len(got.Commits) == amount {
			got.Next = ""
		}
		return api.CommitList{
			Pagination: pageOf(len(got.Commits), got.Next),
			Results:    convertAll(got.Commits, commitOf),
		}, err
	})
}

// touching returns a function that reports whether a commit changes one of the paths of a
// request, or nil if it has none.
func (h *handlers) touching(ctx context.Context, repository string, params api.LogCommitsParams) (func(context.Context, catalog.Commit) (bool, error), error) {
	given := func(names []string) []string {
		return slices.DeleteFunc(names, func(s string) bool { return s == "" }) // as lakeFS does
	}
	paths := coordinator.Paths{Objects: given(params.Objects), Prefixes: given(params.Prefixes)}
	if len(paths.Objects)+len(paths.Prefixes) == 0 {
		return nil, nil
	}
	touches, err := h.differ.Touching(ctx, repository, paths)
	return func(ctx context.Context, c catalog.Commit) (bool, error) {
		found, err := touches(ctx, c)
		if err != nil {
			err = unreadable{err}
		}
		return found, err
	}, err
}

// nearlyOver returns a function that reports whether half of the time to answer is over. A
// search that finds little ends its page then, and the client goes on.
func nearlyOver(ctx context.Context) func() bool {
	deadline, ok := ctx.Deadline()
	return func() bool { return ok && time.Until(deadline) < api.AnswerWithin/2 }
}
