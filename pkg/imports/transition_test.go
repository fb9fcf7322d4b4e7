package imports_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

var (
	born  = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	later = born.Add(time.Minute)
)

// newRecord returns the record of an import with text that encodings change if
// they can.
func newRecord(id string) imports.Record {
	return imports.New(imports.Job{
		ImportID: id, Namespace: "s3://b/ns", Breaks: partition.DefaultBreaks,
		Paths: []imports.Path{{Type: imports.CommonPrefix, URI: "s3://b/<&>\u2028\x01", Destination: "\ufffd\U0010ffff\""}},
	}, imports.Request{
		Repository: "repo", Branch: "main", Committer: "me", Message: "a\x00<b>", Metadata: map[string]string{"<k>": "\u2029"},
	}, born)
}

func attempt(id string) imports.Attempt {
	return imports.Attempt{CommitID: id, MetarangeID: "m" + id, Parent: "p" + id, Created: born.Truncate(time.Second), Objects: 7, Ranges: 2, Changes: changes}
}

// in returns a record in the state.
func in(t *testing.T, s imports.State) imports.Record {
	t.Helper()
	r := newRecord("id")
	var err error
	step := func(next imports.Record, failed error) {
		if r = next; failed != nil {
			err = failed
		}
	}
	switch s {
	case imports.Committing, imports.Completed:
		step(r.Commit(born, nil, attempt("a")))
		if s == imports.Completed {
			step(r.Complete(born))
		}
	case imports.Failed:
		step(r.Fail(born, nil, "broken", 5))
	case imports.Canceled:
		step(r.Cancel(born, 5))
	case imports.Previewed:
		r.Request.DryRun = true
		step(r.Preview(born, changes, 5))
	case imports.Running:
	}
	if err != nil || r.State != s {
		t.Fatalf("record is %s: %v, want %s", r.State, err, s)
	}
	return r
}

var (
	parts = rangetest.Plan("id", []string{"m"})
	// changes are those of an import that ended successfully.
	changes = metarange.Changes{Added: 4, Replaced: 3, Removed: 2, Unchanged: 1}
	walk    = objectstore.Listing{Mode: objectstore.Walk, Why: "the store is unknown"}
)

// transitions are all transitions, at a later time and with other arguments.
var transitions = map[string]func(imports.Record) (imports.Record, error){
	"plan":   func(r imports.Record) (imports.Record, error) { return r.Plan(later, parts, walk, nil, 0) },
	"commit": func(r imports.Record) (imports.Record, error) { return r.Commit(later, nil, attempt("b")) },
	"recommit": func(r imports.Record) (imports.Record, error) {
		a := attempt("a")
		return r.Commit(later, &a, attempt("b"))
	},
	"preview":  func(r imports.Record) (imports.Record, error) { return r.Preview(later, metarange.Changes{}, 9) },
	"complete": func(r imports.Record) (imports.Record, error) { return r.Complete(later) },
	"fail":     func(r imports.Record) (imports.Record, error) { return r.Fail(later, nil, "too bad", 9) },
	"cancel":   func(r imports.Record) (imports.Record, error) { return r.Cancel(later, 9) },
	"count":    func(r imports.Record) (imports.Record, error) { return r.Count(9) },
	"drive":    func(r imports.Record) (imports.Record, error) { return r.Drive("", "other") },
	"oust":     func(r imports.Record) (imports.Record, error) { return r.Drive("other", "me") },
	"report":   func(r imports.Record) (imports.Record, error) { return r.Report("it is slow") },
	"abandon": func(r imports.Record) (imports.Record, error) {
		a := attempt("a")
		return r.Fail(later, &a, "too bad", 9)
	},
	"abandon at another revision": func(r imports.Record) (imports.Record, error) {
		a := attempt("a")
		a.Revision++ // the same commit can be attempted again
		return r.Fail(later, &a, "too bad", 9)
	},
	"recommit at another revision": func(r imports.Record) (imports.Record, error) {
		a := attempt("a")
		a.Revision++
		return r.Commit(later, &a, attempt("b"))
	},
	"abandon another": func(r imports.Record) (imports.Record, error) {
		a := attempt("b")
		return r.Fail(later, &a, "too bad", 9)
	},
}

func TestTransitions(t *testing.T) {
	const refused, same = "refused", "same"
	table := map[imports.State]map[string]string{
		imports.Running: {
			"plan": "running", "commit": "committing", "recommit": same, "preview": refused, "complete": refused,
			"fail": "failed", "cancel": "canceled", "count": same,
			"drive": "running", "oust": refused, "report": "running", "abandon": "failed", "abandon another": "failed",
			"abandon at another revision": "failed", "recommit at another revision": same,
		},
		imports.Committing: {
			"plan": refused, "commit": same, "recommit": "committing", "preview": refused, "complete": "completed",
			"fail": refused, "cancel": refused, "count": same,
			"drive": "committing", "oust": refused, "report": "committing", "abandon": "failed", "abandon another": refused,
			"abandon at another revision": refused, "recommit at another revision": same,
		},
		imports.Completed: {
			"plan": refused, "commit": refused, "recommit": refused, "preview": refused, "complete": same,
			"fail": same, "cancel": refused, "count": same,
			"drive": refused, "oust": refused, "report": same, "abandon": same, "abandon another": same,
			"abandon at another revision": same, "recommit at another revision": refused,
		},
		imports.Failed: {
			"plan": refused, "commit": refused, "recommit": refused, "preview": refused, "complete": refused,
			"fail": same, "cancel": same, "count": "failed",
			"drive": refused, "oust": refused, "report": same, "abandon": same, "abandon another": same,
			"abandon at another revision": same, "recommit at another revision": refused,
		},
		imports.Canceled: {
			"plan": refused, "commit": refused, "recommit": refused, "preview": refused, "complete": refused,
			"fail": same, "cancel": same, "count": "canceled",
			"drive": refused, "oust": refused, "report": same, "abandon": same, "abandon another": same,
			"abandon at another revision": same, "recommit at another revision": refused,
		},
	}
	table[imports.Previewed] = map[string]string{
		"plan": refused, "commit": refused, "recommit": refused, "complete": refused, "preview": same,
		"fail": same, "cancel": refused, "count": same,
		"drive": refused, "oust": refused, "report": same, "abandon": same, "abandon another": same,
		"abandon at another revision": same, "recommit at another revision": refused,
	}
	for state, row := range table {
		for name, transition := range transitions {
			old := in(t, state)
			next, err := transition(old)
			switch want := row[name]; {
			case want == "":
				t.Fatalf("the table lacks %s of %s", name, state)
			case want == refused:
				if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "import id is "+string(state)) {
					t.Errorf("%s of %s: error %v, want a Conflict that names import and state", name, state, err)
				}
				if !reflect.DeepEqual(old, next) {
					t.Errorf("%s of %s is refused and changes the record", name, state)
				}
			case err != nil:
				t.Errorf("%s of %s: %v", name, state, err)
			case want == same:
				if !reflect.DeepEqual(old, next) {
					t.Errorf("%s of %s changes the record to %+v", name, state, next)
				}
			case string(next.State) != want || reflect.DeepEqual(old, next):
				t.Errorf("%s of %s gives %+v, want another one in state %s", name, state, next, want)
			}
			if !reflect.DeepEqual(old, in(t, state)) {
				t.Errorf("%s of %s changes the record that it was called on", name, state)
			}
		}
	}
}

func TestWhatTransitionsRecord(t *testing.T) {
	first := in(t, imports.Running)
	planned, _ := first.Plan(later, parts, walk, nil, 0)
	if !reflect.DeepEqual(planned.Partitions, parts) || planned.Job.Listing != walk || !planned.Updated.Equal(later) || !planned.Created.Equal(born) {
		t.Errorf("Plan gives %+v", planned)
	}
	if again, err := planned.Plan(later.Add(1), nil, objectstore.Listing{}, nil, 0); err != nil || !reflect.DeepEqual(again, planned) {
		t.Errorf("a second Plan gives %+v, %v, want the first cut to stay", again, err)
	}
	done := in(t, imports.Completed)
	if *done.Changes != changes || done.Objects != 7 || done.Error != "" || done.Attempt.CommitID != "a" {
		t.Errorf("Complete gives %+v, want the attempt's objects", done)
	}
}

func TestWhatEndsRecord(t *testing.T) {
	failed := in(t, imports.Failed)
	if failed.Objects != 5 || failed.Error != "broken" {
		t.Errorf("Fail gives %+v", failed)
	}
	canceled := in(t, imports.Canceled)
	if canceled.Objects != 5 || canceled.Error != imports.CanceledText {
		t.Errorf("Cancel gives %+v", canceled)
	}
	if r, _ := canceled.Count(4); r.Objects != 5 {
		t.Errorf("Count lowers the number of objects to %d", r.Objects)
	}
	if r, _ := canceled.Count(6); r.Objects != 6 || !r.Updated.Equal(canceled.Updated) {
		t.Errorf("Count gives %+v", r)
	}
}

func TestOnlyADeadAttemptIsReplaced(t *testing.T) {
	a, b, c := attempt("a"), attempt("b"), attempt("c")
	r, err := in(t, imports.Running).Commit(later, nil, a)
	if err != nil || r.Attempt.CommitID != "a" {
		t.Fatalf("first attempt: %+v, %v", r.Attempt, err)
	}
	for _, dead := range []*imports.Attempt{nil, &b, &c} {
		if r, err = r.Commit(later, dead, b); err != nil || r.Attempt.CommitID != "a" {
			t.Fatalf("attempt %v replaced a live one: %+v, %v", dead, r.Attempt, err)
		}
	}
	if r, err = r.Commit(later, &a, b); err != nil || r.Attempt.CommitID != "b" {
		t.Fatalf("dead attempt stays: %+v, %v", r.Attempt, err)
	}
}

func TestRecordsSurviveJSON(t *testing.T) {
	for _, s := range []imports.State{imports.Running, imports.Committing, imports.Completed, imports.Failed, imports.Canceled, imports.Previewed} {
		r := in(t, s)
		r.Partitions = rangetest.Plan("id", []string{"\x01\"<", "é\u2028", "\U0010ffff"})
		data, err := json.Marshal(r)
		expect.NoError(t, err)
		var got imports.Record
		expect.NoError(t, json.Unmarshal(data, &got))
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%s:\n got %+v\nwant %+v", s, got, r)
		}
	}
}

func TestEnded(t *testing.T) {
	for s, want := range map[imports.State]bool{
		imports.Running: false, imports.Committing: false, imports.Completed: true, imports.Failed: true, imports.Canceled: true,
	} {
		if s.Ended() != want {
			t.Errorf("%s.Ended() = %t", s, !want)
		}
	}
}

// A step counts from its begin to its outcome, and the step after MaxBegun of them is
// refused.
func TestStepsThatNoProcessSurvives(t *testing.T) {
	begin := func(r imports.Record, n int) imports.Record {
		t.Helper()
		for range n {
			var err error
			if r, err = r.Begin(); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	full := begin(newRecord("id"), imports.MaxBegun)
	if got, err := full.Begin(); !errors.Is(err, imports.ErrDeadly) || !strings.Contains(err.Error(), "id") || !reflect.DeepEqual(got, full) {
		t.Errorf("step %d: %v, want ErrDeadly that names the import", imports.MaxBegun+1, err)
	}
	for name, end := range map[string]func(imports.Record) (imports.Record, error){
		"survived": imports.Record.Survive,
		"planned": func(r imports.Record) (imports.Record, error) {
			return r.Plan(later, []partition.Partition{{}}, objectstore.Listing{}, nil, 0)
		},
		"attempted": func(r imports.Record) (imports.Record, error) { return r.Commit(later, nil, attempt("a")) },
	} {
		r, err := end(full)
		if err != nil || r.Begun != 0 {
			t.Errorf("%s: %d steps begun, %v", name, r.Begun, err)
		}
		begin(r, imports.MaxBegun)
	}
	for _, s := range []imports.State{imports.Completed, imports.Failed, imports.Canceled, imports.Previewed} {
		if _, err := in(t, s).Begin(); !fault.Is(err, fault.Conflict) {
			t.Errorf("step of an import that is %s: %v, want a conflict", s, err)
		}
	}
}

func TestADryRunNeverCommits(t *testing.T) {
	r := in(t, imports.Running)
	r.Request.DryRun = true
	if next, err := r.Commit(later, nil, attempt("a")); !fault.Is(err, fault.Conflict) || next.State != imports.Running {
		t.Errorf("commit of a dry run: %s, %v", next.State, err)
	}
	next, err := r.Preview(later, changes, 5)
	if err != nil || next.State != imports.Previewed || *next.Changes != changes || next.Objects != 5 || next.Attempt != nil || !next.Updated.Equal(later) {
		t.Errorf("preview of a dry run: %+v, %v", next, err)
	}
	for _, end := range []func(imports.Record) (imports.Record, error){transitions["fail"], transitions["cancel"]} {
		if next, err := end(r); err != nil || next.State == imports.Running {
			t.Errorf("a dry run does not end: %s, %v", next.State, err)
		}
	}
}
