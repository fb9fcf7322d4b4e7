package imports

import (
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// New returns the record of an import that starts now.
func New(job Job, req Request, now time.Time) Record {
	return Record{Job: job, Request: req, State: Running, Created: now, Updated: now}
}

// Drive records that to drives the import, instead of from. It is a Conflict if from does
// not drive it, or the import has ended.
func (r Record) Drive(from, to string) (Record, error) {
	if r.State.Ended() || r.Driver != from {
		return r, fault.Conflicting("import %s is %s and driven by %q", r.Job.ImportID, r.State, r.Driver)
	}
	r.Driver = to
	return r, nil
}

// MaxBegun is how many processes in a row may end within a step of one import: then the
// import is the likely cause, by the memory that it takes.
const MaxBegun = 5

// Begin records the begin of a step that the process may not survive. It is ErrDeadly if
// MaxBegun processes did not, and a Conflict if the import has ended.
func (r Record) Begin() (Record, error) {
	if r.State.Ended() {
		return r, r.refuse("go on with")
	}
	if r.Begun >= MaxBegun {
		return r, fmt.Errorf("import %s: %w: %d coordinators in a row ended while they planned or merged it; their logs, and the limits of their memory, tell why",
			r.Job.ImportID, ErrDeadly, r.Begun)
	}
	r.Begun++
	return r, nil
}

// BeginAgain is Begin by a process that has survived all steps that were begun.
func (r Record) BeginAgain() (Record, error) {
	r.Begun = 0
	return r.Begin()
}

// ErrDeadly says that an import ends the processes that drive it.
var ErrDeadly = errors.New("the import ends its coordinators")

// Survive records that the process has survived the step that Begin recorded.
func (r Record) Survive() (Record, error) {
	r.Begun = 0
	return r, nil
}

// Report records a problem: why the import makes no progress, or "" if it does.
func (r Record) Report(problem string) (Record, error) {
	if !r.State.Ended() {
		r.Problem = problem
	}
	return r, nil
}

// Plan records the initial partitions, how buckets are listed and with which roles, and how many
// objects are skipped. A plan that is recorded already stays.
func (r Record) Plan(now time.Time, parts []partition.Partition, listing objectstore.Listing, roles []string, skipped int64) (Record, error) {
	if r.State != Running {
		return r, r.refuse("plan")
	}
	if r.Partitions == nil {
		r.Partitions, r.Job.Listing, r.Job.Roles, r.Skipped, r.Begun, r.Updated = parts, listing, roles, skipped, 0, now
	}
	return r, nil
}

// Commit records the attempt that is about to move the branch. From then on the import
// cannot be canceled. It replaces only dead: nil, or an attempt that the caller knows can
// never land. Any other attempt stays, as it may land at any moment.
func (r Record) Commit(now time.Time, dead *Attempt, a Attempt) (Record, error) {
	if r.State != Running && r.State != Committing || r.Request.DryRun {
		return r, r.refuse("commit")
	}
	if r.Attempt.same(dead) {
		r.State, r.Attempt, r.Updated = Committing, &a, now
	}
	r.Begun = 0
	return r, nil
}

// same reports whether two attempts are equal, or both nil. The same commit may be
// attempted again, at another revision of the branch.
func (a *Attempt) same(b *Attempt) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.CommitID == b.CommitID && a.Revision == b.Revision
}

// Complete records that the attempt is on the branch. It is idempotent.
func (r Record) Complete(now time.Time) (Record, error) {
	if r.State == Completed {
		return r, nil
	}
	if r.State != Committing {
		return r, r.refuse("complete")
	}
	r.State, r.Objects, r.Changes, r.Problem, r.Updated = Completed, r.Attempt.Objects, new(r.Attempt.Changes), "", now
	return r, nil
}

// Preview ends a dry run with what it would change. It is idempotent.
func (r Record) Preview(now time.Time, changes metarange.Changes, objects int64) (Record, error) {
	if r.State == Previewed {
		return r, nil
	}
	if r.State != Running || !r.Request.DryRun {
		return r, r.refuse("preview")
	}
	r.State, r.Objects, r.Changes, r.Begun, r.Problem, r.Updated = Previewed, objects, &changes, 0, "", now
	return r, nil
}

// Fail records the error that ended an import. An import that has ended stays as it is. It
// is a Conflict if the import is committing, except by the dead attempt; see Commit.
func (r Record) Fail(now time.Time, dead *Attempt, text string, objects int64) (Record, error) {
	if r.State == Committing && !r.Attempt.same(dead) {
		return r, r.refuse("fail")
	}
	return r.end(now, Failed, text, objects), nil
}

// CanceledText is the error of an import that was canceled.
const CanceledText = "Canceled"

// Cancel ends a running import. It is idempotent, and a Conflict once the import is
// committing, or has ended successfully.
func (r Record) Cancel(now time.Time, objects int64) (Record, error) {
	if r.State == Committing || r.State == Completed || r.State == Previewed {
		return r, r.refuse("cancel")
	}
	return r.end(now, Canceled, CanceledText, objects), nil
}

// end ends an import without a commit.
func (r Record) end(now time.Time, s State, text string, objects int64) Record {
	if r.State.Ended() {
		return r
	}
	r.State, r.Error, r.Problem, r.Objects, r.Updated = s, text, "", objects, now
	return r
}

// Count raises the number of covered keys of an import that failed or was canceled: the
// coordinator that ended it may have known of fewer.
func (r Record) Count(objects int64) (Record, error) {
	if r.State == Failed || r.State == Canceled {
		r.Objects = max(r.Objects, objects)
	}
	return r, nil
}

func (r Record) refuse(verb string) error {
	return fault.Conflicting("import %s is %s: too late to %s it", r.Job.ImportID, r.State, verb)
}
