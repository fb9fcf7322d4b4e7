package imports_test

import (
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

func TestLand(t *testing.T) {
	now := time.Unix(1, 0)
	attempt := imports.Attempt{MetarangeID: "t", Parent: "h", Objects: 3, Ranges: 2}
	preparing := landing.State{Try: &landing.Try{Number: 1, Branch: "rf-a", Base: "h", Phase: landing.Preparing}, Tries: 1, Branches: []string{"rf-a"}}
	merging := preparing
	merging.Try = &landing.Try{Number: 1, Branch: "rf-a", Base: "h", Phase: landing.Merging}
	landed := landing.State{Tries: 1, Branches: merging.Branches, Landed: &landing.Commit{ID: "m", Parent: "other"}}
	correcting := landed
	correcting.Try = &landing.Try{Number: 2, Branch: "rf-b", Base: "m", Correction: true, Phase: landing.Preparing}
	completed := landed
	completed.End = landing.Completed
	failed := landing.State{Tries: 1, End: landing.Failed, Text: "words"}

	land := func(r imports.Record, from, to landing.State) imports.Record {
		t.Helper()
		r, err := r.Land(now, from, to, attempt)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	start := imports.New(imports.Job{ImportID: "i"}, imports.Request{}, now)
	r := land(start, landing.State{}, preparing)
	if r.State != imports.Running || r.Attempt == nil {
		t.Errorf("preparing: %s, %+v", r.State, r.Attempt)
	}
	if canceled, err := r.Cancel(now, 0); err != nil || canceled.State != imports.Canceled {
		t.Errorf("canceled while it prepares: %s, %v", canceled.State, err)
	}
	failure := land(r, preparing, failed)
	if failure.State != imports.Failed || failure.Error != "words" || failure.Objects != 3 {
		t.Errorf("failed: %+v", failure)
	}
	r = land(r, preparing, merging)
	if _, err := r.Cancel(now, 0); !fault.Is(err, fault.Conflict) || r.State != imports.Committing {
		t.Errorf("canceled while it is %s: %v", r.State, err)
	}
	if _, err := r.Land(now, preparing, failed, attempt); !fault.Is(err, fault.Conflict) {
		t.Errorf("from another state: %v", err)
	}
	r = land(r, merging, landed)
	attempt.MetarangeID = "of the correction"
	r = land(r, landed, correcting)
	before := r
	r = land(r, correcting, completed)
	if r.State != imports.Completed || r.Attempt.CommitID != "m" || r.Attempt.MetarangeID != "t" || r.Objects != 3 || before.Attempt.CommitID != "" {
		t.Errorf("completed: %+v, %+v; before: %+v", r, r.Attempt, before.Attempt)
	}
	if _, err := r.Land(now, completed, failed, attempt); !fault.Is(err, fault.Conflict) {
		t.Errorf("after the end: %v", err)
	}
}
