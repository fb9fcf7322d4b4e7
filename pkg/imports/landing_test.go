package imports_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

// States of one landing, in their order.
var (
	hidden     = []string{"rf-a"}
	preparing  = landing.State{Try: &landing.Try{Number: 1, Branch: "rf-a", Base: "h", Phase: landing.Preparing}, Tries: 1, Branches: hidden}
	merging    = landing.State{Try: &landing.Try{Number: 1, Branch: "rf-a", Base: "h", Phase: landing.Merging}, Tries: 1, Branches: hidden}
	landed     = landing.State{Tries: 1, Branches: hidden, Landed: &landing.Commit{ID: "m", Parent: "other"}}
	correcting = landing.State{
		Try:   &landing.Try{Number: 2, Branch: "rf-b", Base: "m", Correction: true, Phase: landing.Preparing},
		Tries: 2, Branches: []string{"rf-a", "rf-b"}, Landed: landed.Landed,
	}
	completed = landing.State{Tries: 2, Branches: correcting.Branches, Landed: landed.Landed, End: landing.Completed}
	failed    = landing.State{Tries: 1, Branches: hidden, End: landing.Failed, Text: "words"}
)

var now = time.Unix(1, 0)

// through returns the record of an import after the states, and the attempt of the first.
func through(t *testing.T, states ...landing.State) imports.Record {
	t.Helper()
	r := imports.New(imports.Job{ImportID: "i"}, imports.Request{}, now)
	from, attempt := landing.State{}, imports.Attempt{MetarangeID: "t", Parent: "h", Objects: 3, Ranges: 2}
	for _, s := range states {
		var err error
		if r, err = r.Land(now, from, s, attempt); err != nil {
			t.Fatal(err)
		}
		from, attempt.MetarangeID = s, "of a later tree"
	}
	return r
}

func TestALandingEndsItsImport(t *testing.T) {
	if r := through(t, preparing, failed); r.State != imports.Failed || r.Error != "words" || r.Objects != 3 {
		t.Errorf("failed: %+v", r)
	}
	unknown := landing.State{Tries: 1, Branches: hidden, End: landing.Unknown, Text: "words"}
	if r := through(t, preparing, merging, unknown); r.State != imports.Failed || !strings.Contains(r.Error, "not known") || !strings.HasSuffix(r.Error, "ID i: words") {
		t.Errorf("unknown: %+v", r)
	}
	r := through(t, preparing, merging, landed, correcting, completed)
	if r.State != imports.Completed || r.Attempt.CommitID != "m" || r.Attempt.MetarangeID != "t" || r.Objects != 3 {
		t.Errorf("completed: %+v, %+v", r, r.Attempt)
	}
}

func TestAnImportIsCanceledUntilItsMergeIsRequested(t *testing.T) {
	r, err := through(t, preparing).Cancel(now, 0)
	if err != nil || r.State != imports.Canceled {
		t.Errorf("preparing: %s, %v", r.State, err)
	}
	for name, r := range map[string]imports.Record{
		"merging": through(t, preparing, merging), "landed": through(t, preparing, merging, landed),
	} {
		if _, err := r.Cancel(now, 0); !fault.Is(err, fault.Conflict) || r.State != imports.Committing {
			t.Errorf("%s: %s, %v", name, r.State, err)
		}
	}
}

// The doubt about a merge lasts from when it was first met until the next state is recorded.
func TestADoubtIsKept(t *testing.T) {
	if _, err := through(t, preparing).Doubt(now); !fault.Is(err, fault.Conflict) {
		t.Errorf("before the merge is requested: %v", err)
	}
	r := through(t, preparing, merging)
	for minutes := range 3 {
		var err error
		if r, err = r.Doubt(now.Add(time.Duration(minutes) * time.Minute)); err != nil || !r.Doubted.Equal(now) {
			t.Fatalf("doubted since %v, %v", r.Doubted, err)
		}
	}
	r, err := r.Land(now, merging, landed, imports.Attempt{})
	if err != nil || !r.Doubted.IsZero() {
		t.Errorf("doubted since %v, %v", r.Doubted, err)
	}
}

func TestALandingIsRecordedByOneDriverOnly(t *testing.T) {
	for name, r := range map[string]imports.Record{
		"another state": through(t, preparing, merging), "canceled": canceled(t), "ended": through(t, preparing, failed),
	} {
		if _, err := r.Land(now, preparing, merging, imports.Attempt{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func canceled(t *testing.T) imports.Record {
	t.Helper()
	r, err := through(t, preparing).Cancel(now, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
