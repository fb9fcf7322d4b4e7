package server

import (
	"math"
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
		Progress:        progressOf(st.Progress),
		TraceID:         st.Record.Trace.ID(),
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

// progressOf returns how far an import is as the API shows it.
func progressOf(p coordinator.Progress) api.ImportProgress {
	return api.ImportProgress{
		ListedObjects:        p.Listed,
		EstimatedObjects:     p.Estimate.Keys,
		EstimatedObjectsLow:  p.Estimate.Low,
		EstimatedObjectsHigh: p.Estimate.High,
		ObjectsPerSecond:     tenths(p.PerSecond),
		RemainingSeconds:     tenths(p.Remaining.Seconds()),
		ElapsedSeconds:       tenths(p.Elapsed.Seconds()),
		Workers:              p.Workers,
		QueuedPartitions:     p.Queued,
		RunningPartitions:    p.Running,
		Throttles:            p.Throttles,
		Retries:              p.Retries,
		TreeRanges:           p.TreeRanges,
		EstimatedTreeRanges:  p.EstimatedRanges,
	}
}

// tenths rounds what is no more exact than that.
func tenths(x float64) float64 { return math.Round(10*x) / 10 }

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
