package coordinator

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

func TestABranchInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s, _ := f.serve()
	for _, name := range []string{"side", "idle"} {
		_, err := f.catalog.Branches().Create(t.Context(), "repo", name, "main")
		expect.NoError(t, err)
	}
	start := request("", "")
	start.Request.Branch = "side"
	id := f.start(s, start)
	err := s.DeleteBranch(t.Context(), "me", "repo", "side")
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "has running imports (1)") || names(err, id) {
		t.Errorf("while an import runs: %v", err)
	}
	expect.NoError(t, s.DeleteBranch(t.Context(), "me", "repo", "idle"))
	f.work(2)
	f.completed(id)
	if err := s.DeleteBranch(t.Context(), "me", "repo", "main"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("the default branch: %v", err)
	}
	expect.NoError(t, s.DeleteBranch(t.Context(), "me", "repo", "side"))
	if err := s.DeleteBranch(t.Context(), "me", "repo", "side"); !fault.Is(err, fault.NotFound) {
		t.Errorf("again: %v", err)
	}
	if _, err := s.Start(t.Context(), start); !fault.Is(err, fault.NotFound) {
		t.Errorf("an import into a deleted branch: %v", err)
	}
}

// TestAnImportOfADeletedBranchEnds deletes the branch of an import at each step of landing,
// and creates another one with the same name or not. This happens if the import is accepted
// while the branch is deleted. The import lands once at most.
func TestAnImportOfADeletedBranchEnds(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		everyStep(t, func(l *coveredImport, n int) {
			first, err := l.fleet.catalog.Branch(t.Context(), "repo", "main")
			expect.NoError(t, err)
			l.steps.before = func(step int) error {
				if step == n {
					l.deleteBranch()
					if anew {
						_, err := l.fleet.catalog.Branches().Create(t.Context(), "repo", "main", first.CommitID)
						expect.NoError(t, err)
					}
				}
				return nil
			}
			_, _ = l.driver(l.mine).step(t.Context()) // with or without an error, the import ends
			record := l.driveToEnd()
			if record.State == imports.Failed && !strings.Contains(record.Error, "branch not found") {
				t.Errorf("step %d, created again: %v: %q", n, anew, record.Error)
			}
			if !anew {
				return
			}
			log, err := l.fleet.catalog.Log(t.Context(), "repo", catalog.LogQuery{Ref: "main", Amount: 9})
			if err != nil || len(log.Commits) > 2 {
				t.Errorf("step %d: the new branch has %+v, %v", n, log, err)
			}
		})
	}
}

// deleteBranch deletes the branch main, as if it were not the default branch.
func (l *coveredImport) deleteBranch() {
	l.fleet.t.Helper()
	keys, err := l.history.Keys(l.fleet.t.Context(), "b.")
	expect.NoError(l.fleet.t, err)
	_, rev, err := l.history.Get(l.fleet.t.Context(), keys[0])
	expect.NoError(l.fleet.t, err)
	expect.NoError(l.fleet.t, l.history.Delete(l.fleet.t.Context(), keys[0], rev))
}
