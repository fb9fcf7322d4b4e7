package imports

import (
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

// Land records the next state of the landing on a lakeFS server, in place of from. It is a
// Conflict if the record has another state, or the import has ended. From the request of a
// merge on, the import is committing. The end of the landing ends the import.
//
// The attempt describes the first tree that the state is about; that of a correction
// changes nothing of it.
func (r Record) Land(now time.Time, from, to landing.State, a Attempt) (Record, error) {
	if r.State != Running && r.State != Committing || r.Request.DryRun {
		return r, r.refuse("commit")
	}
	if !r.landingState().Equal(from) {
		return r, fault.Conflicting("import %s is landed by another coordinator", r.Job.ImportID)
	}
	r.Landing, r.Begun, r.Updated, r.Doubted = &to, 0, now, time.Time{}
	if t := to.Try; t != nil && t.Phase == landing.Preparing && !t.Correction {
		r.Attempt = &a
	}
	if t := to.Try; t != nil && t.Phase == landing.Merging || to.Landed != nil {
		r.State = Committing
	}
	switch to.End {
	case landing.Completed:
		landed := *r.Attempt
		landed.CommitID = to.Landed.ID
		r.Attempt = &landed
		return r.Complete(now)
	case landing.Failed, landing.Canceled:
		return r.end(now, Failed, to.Text, a.Objects), nil
	case landing.Unknown:
		return r.end(now, Failed, fmt.Sprintf("it is not known whether the import is on branch %q, look there for a commit whose metadata has its ID %s: %s",
			r.Request.Branch, r.Job.ImportID, to.Text), a.Objects), nil
	}
	return r, nil
}

// Doubt records that it is not known whether the landing's merge was made, and cannot be
// learned now. The time of the first doubt stays until Land records the next state.
func (r Record) Doubt(now time.Time) (Record, error) {
	if r.State != Committing {
		return r, r.refuse("doubt")
	}
	if r.Doubted.IsZero() {
		r.Doubted = now
	}
	return r, nil
}

func (r Record) landingState() landing.State {
	if r.Landing == nil {
		return landing.State{}
	}
	return *r.Landing
}
