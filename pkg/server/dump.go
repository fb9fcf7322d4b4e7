package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator/refdump"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Dumper is what the server needs of *refdump.Dumper.
type Dumper interface {
	Dump(ctx context.Context, repository string) (refdump.Dump, error)
}

// dumped is a dump that was made, as its ID holds it. So no state is kept of dumps, and any
// coordinator answers for each.
type dumped struct {
	Dump refdump.Dump `json:"d"`
	At   time.Time    `json:"t"`
}

// purposeOf returns the purpose of the tokens that are IDs of dumps of a repository.
func purposeOf(repository string) []string { return []string{"dump", repository} }

// DumpRefs stores the refs of a repository.
func (h *handlers) DumpRefs(w http.ResponseWriter, r *http.Request, repository string) {
	h.serveDump(w, r, repository, func(d refdump.Dump) (int, any, error) {
		return http.StatusCreated, refsOf(d), nil
	})
}

// DumpSubmit stores the refs of a repository, and answers an ID of that.
func (h *handlers) DumpSubmit(w http.ResponseWriter, r *http.Request, repository string) {
	h.serveDump(w, r, repository, func(d refdump.Dump) (int, any, error) {
		text, err := json.Marshal(dumped{d, h.now().UTC().Truncate(time.Second)})
		return http.StatusAccepted, api.TaskInfo{ID: h.sealer.Seal(string(text), purposeOf(repository)...)}, err
	})
}

// serveDump makes a dump, and answers with what answer returns of it. Errors of the store are
// for the client, who owns the namespace.
func (h *handlers) serveDump(w http.ResponseWriter, r *http.Request, repository string, answer func(refdump.Dump) (int, any, error)) {
	h.serve(w, r, input{fixed: forRange, slow: true}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.dumper.Dump(ctx, repository)
		if err != nil {
			return 0, nil, unreadable{err}
		}
		return answer(got)
	})
}

// DumpStatus answers the result of a dump.
func (h *handlers) DumpStatus(w http.ResponseWriter, r *http.Request, repository string, params api.DumpStatusParams) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		if _, err := h.catalog.Repository(ctx, repository); err != nil {
			return 0, nil, err
		}
		text, err := h.sealer.Open(params.TaskID, purposeOf(repository)...)
		if err != nil {
			return 0, nil, fault.Missing("dump")
		}
		var made dumped
		err = json.Unmarshal([]byte(text), &made)
		return http.StatusOK, api.RepositoryDumpStatus{ID: params.TaskID, Done: true, UpdateTime: made.At, Refs: refsOf(made.Dump)}, err
	})
}

func refsOf(d refdump.Dump) api.RefsDump {
	return api.RefsDump{BranchesMetaRangeID: d.Branches, TagsMetaRangeID: d.Tags, CommitsMetaRangeID: d.Commits}
}
