package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// ListImports answers a page of imports.
func (h *handlers) ListImports(w http.ResponseWriter, r *http.Request, params api.ListImportsParams) {
	for _, phase := range params.Phase {
		if !phase.Valid() {
			refuse(w, http.StatusBadRequest, parameterError("phase", fmt.Sprintf("%q is not a phase", phase)))
			return
		}
	}
	h.serveListTo(w, r, params.Amount, perImport, func(ctx context.Context, caller access.Caller, amount int) (any, error) {
		visible, err := h.visible(ctx, "listImports", caller)
		if err != nil {
			return nil, err
		}
		others := byBranch(rememberAnswers(func(b branchName) error { return h.mayManage(ctx, caller, b) }))
		mayRead := func(i imports.Record) (bool, error) {
			readable := visible(access.Request{Repository: i.Request.Repository, Branch: i.Request.Branch})
			if !readable || i.Request.StartedBy().User == caller.User {
				return readable, nil
			}
			return others(i)
		}
		if h.gate != nil {
			mayRead = byBranch(rememberAnswers(func(b branchName) error {
				return h.gate.MayRead(ctx, lakefs.Forward(r), b.repository, b.branch)
			}))
		}
		return h.importPage(ctx, params, amount, mayRead)
	})
}

// importPage returns the next imports that the parameters select and the user may read. It
// ends early once half of the time to answer is over, since a search may find little.
func (h *handlers) importPage(ctx context.Context, params api.ListImportsParams, amount int, mayRead func(imports.Record) (bool, error)) (api.ImportList, error) {
	page := api.ImportList{Pagination: api.Pagination{MaxPerPage: limits.Results}, Results: []api.Import{}}
	over := nearlyOver(ctx)
	last := params.After
	for r, err := range h.imports.Newest(ctx, params.After) {
		if err != nil {
			return page, err
		}
		if len(page.Results) == amount || last != params.After && over() {
			page.Pagination.HasMore, page.Pagination.NextOffset = true, last
			break
		}
		last = r.Job.ImportID
		if !selected(r, params) {
			continue
		}
		if ok, err := mayRead(r); err != nil {
			return page, err
		} else if ok {
			page.Results = append(page.Results, listedImport(r))
		}
	}
	page.Pagination.Results = len(page.Results)
	return page, nil
}

func selected(r imports.Record, params api.ListImportsParams) bool {
	return (params.Repository == "" || params.Repository == r.Request.Repository) &&
		(len(params.Phase) == 0 || slices.Contains(params.Phase, api.ImportPhase(r.State)))
}

// listedImport returns an import as lists show it.
func listedImport(r imports.Record) api.Import {
	shown := api.Import{
		ID: r.Job.ImportID, Repository: r.Request.Repository, Branch: r.Request.Branch, Phase: api.ImportPhase(r.State),
		Committer: r.Request.Committer, Sources: len(r.Job.Paths), DryRun: r.Request.DryRun,
		CreationDate: r.Created.UTC(), UpdateTime: r.Updated.UTC(),
		Error: errorOf(r),
	}
	if len(r.Job.Paths) > 0 {
		shown.Source = r.Job.Paths[0].URI
	}
	if r.State.Ended() {
		shown.IngestedObjects = r.Objects
	} else {
		shown.Problem = r.Problem
	}
	if r.State == imports.Completed {
		shown.CommitID, shown.MetarangeID = r.Attempt.CommitID, r.Attempt.MetarangeID
	}
	return shown
}

// branchName names a branch of a repository.
type branchName struct{ repository, branch string }

// byBranch asks about the branch of an import.
func byBranch(ask func(branchName) (bool, error)) func(imports.Record) (bool, error) {
	return func(r imports.Record) (bool, error) { return ask(branchName{r.Request.Repository, r.Request.Branch}) }
}

// rememberAnswers returns a function that reports whether ask grants a branch. It asks once
// for each branch. Nobody may read a branch that is gone.
func rememberAnswers(ask func(branchName) error) func(branchName) (bool, error) {
	granted := make(map[branchName]bool)
	return func(b branchName) (bool, error) {
		if ok, known := granted[b]; known {
			return ok, nil
		}
		err := ask(b)
		refused := fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) || fault.Is(err, fault.Forbidden)
		if err != nil && !refused {
			return false, err
		}
		granted[b] = err == nil
		return granted[b], nil
	}
}
