package imports

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// New returns the record of an import that starts now.
func New(job Job, req Request, now time.Time) Record {
	return Record{Job: job, Request: req, State: Running, Created: now, Updated: now}
}

// Plan records the first cut. One that is there already stays.
func (r Record) Plan(now time.Time, parts []partition.Partition) (Record, error) {
	if r.State != Running {
		return r, r.refuse("plan")
	}
	if r.Partitions == nil {
		r.Partitions, r.Updated = parts, now
	}
	return r, nil
}

// Commit records the attempt that is about to move the branch. From here on the
// import cannot be canceled. A later attempt replaces one whose parent is no
// longer the head of the branch.
func (r Record) Commit(now time.Time, a Attempt) (Record, error) {
	if r.State != Running && r.State != Committing {
		return r, r.refuse("commit")
	}
	r.State, r.Attempt, r.Updated = Committing, &a, now
	return r, nil
}

// Complete records that the attempt is on the branch. It repeats harmlessly.
func (r Record) Complete(now time.Time) (Record, error) {
	if r.State == Completed {
		return r, nil
	}
	if r.State != Committing {
		return r, r.refuse("complete")
	}
	r.State, r.Objects, r.Updated = Completed, r.Attempt.Objects, now
	return r, nil
}

// Fail records the error that ended the import. An import that has ended stays
// as it ended.
func (r Record) Fail(now time.Time, text string, objects int64) (Record, error) {
	if r.State.Ended() {
		return r, nil
	}
	r.State, r.Error, r.Objects, r.Updated = Failed, text, objects, now
	return r, nil
}

// CanceledText is the error of an import that was canceled.
const CanceledText = "Canceled"

// Cancel ends a running import. It repeats harmlessly, and is a Conflict once
// the import is committing.
func (r Record) Cancel(now time.Time, objects int64) (Record, error) {
	switch r.State {
	case Committing, Completed:
		return r, r.refuse("cancel")
	case Canceled, Failed:
		return r, nil
	}
	r.State, r.Error, r.Objects, r.Updated = Canceled, CanceledText, objects, now
	return r, nil
}

func (r Record) refuse(verb string) error {
	return fault.Conflicting("import %s is %s: too late to %s it", r.Job.ImportID, r.State, verb)
}
