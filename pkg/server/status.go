package server

import (
	"strings"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// statusOf returns an import as the API shows it. Clients that read completed go on to read
// the commit, so neither is shown without the other.
func statusOf(st coordinator.Status) api.ImportStatusResp {
	resp := api.ImportStatusResp{
		Phase:           api.ImportPhase(st.Record.State),
		UpdateTime:      st.Updated.UTC(),
		IngestedObjects: st.Objects,
		Ranges:          st.Ranges,
		Partitions:      st.Partitions,
		Skipped:         st.Record.Skipped,
	}
	if l := st.Record.Landing; l != nil {
		resp.InterferingCommit = l.Between()
	}
	if st.Record.Job.Listing.Walks() {
		resp.Walk = st.Record.Job.Listing.Why
	}
	switch st.Record.State {
	case imports.Running, imports.Committing:
		resp.Problem = st.Record.Problem
	case imports.Previewed:
		resp.Changes = changesOf(st.Record)
	case imports.Completed:
		if st.Commit == nil {
			resp.Phase = api.Committing
			break
		}
		resp.Completed = true
		if l := st.Record.Landing; l != nil && l.Text != "" {
			resp.Problem = "a commit got between, " + l.Landed.Parent + ", and the destination was not corrected: " + l.Text
		}
		resp.Changes = changesOf(st.Record)
		resp.Commit = commitOf(*st.Commit)
		resp.MetarangeID = st.Commit.MetarangeID
	case imports.Failed, imports.Canceled:
		resp.Error = errorOf(st.Record)
	}
	return resp
}

// errorOf returns why an import failed or was canceled.
func errorOf(r imports.Record) api.Error {
	switch r.State {
	case imports.Failed:
		return api.Error{Message: api.ImportErrorPrefix + strings.TrimPrefix(r.Error, api.ImportErrorPrefix)}
	case imports.Canceled:
		return api.Error{Message: api.ImportErrorPrefix + imports.CanceledText}
	default:
		return api.Error{}
	}
}

// changesOf returns what a completed import changed, or what a previewed one would change.
func changesOf(r imports.Record) api.Changes {
	if r.Changes == nil {
		return api.Changes{}
	}
	return api.Changes{
		Added: r.Changes.Added, Replaced: r.Changes.Replaced, Removed: r.Changes.Removed, Unchanged: r.Changes.Unchanged,
	}
}
