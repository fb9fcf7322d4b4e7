package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// claimOfMain is the name of the lease by which a coordinator claims the branch main.
const claimOfMain = "branch.repo.main"

// claims returns the leases on the branch main: one at most.
func claims(f *fleet) []string {
	f.t.Helper()
	names, err := f.backend.Leases.Held(f.t.Context(), claimOfMain)
	expect.NoError(f.t, err)
	return names
}

// TestAnImportWaitsForABranchThatIsClaimed lands an import on a branch that another
// coordinator has claimed for a while.
func TestAnImportWaitsForABranchThatIsClaimed(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	setPatience(time.Hour, l.mine)
	lease, err := l.fleet.backend.Leases.Acquire(t.Context(), claimOfMain, "another")
	expect.NoError(t, err)
	d, done := l.driver(l.mine), make(chan error)
	go func() {
		_, err := d.step(t.Context())
		done <- err
	}()
	expect.Eventually(t, "the import waits for the branch", func() bool {
		return measured.Sum(t, l.mine.cfg.Registerer.(*prometheus.Registry), "rangefleet_import_steps", stepCommit, phaseWaiting) == 1
	})
	before := l.fleet.record(l.id)
	expect.NoError(t, lease.Release(t.Context()))
	expect.NoError(t, <-done)
	if after := l.driveToEnd(); before.State != imports.Running || after.State != imports.Completed {
		t.Errorf("the import was %s while the branch was claimed, and is %s", before.State, after.State)
	}
	if left := claims(l.fleet); len(left) != 0 {
		t.Errorf("claims are left: %v", left)
	}
}

// TestAnImportLandsThoughTheBranchStaysClaimed has another coordinator keep the claim of
// the branch for ever.
func TestAnImportLandsThoughTheBranchStaysClaimed(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	_, err := l.fleet.backend.Leases.Acquire(t.Context(), claimOfMain, "another")
	expect.NoError(t, err)
	setPatience(time.Hour, l.mine)
	d, done := l.driver(l.mine), make(chan error, 1)
	go func() {
		_, err := d.step(t.Context())
		done <- err
	}()
	expect.Eventually(t, "the import gives up waiting", func() bool {
		l.fleet.clock.Add(int64(time.Hour))
		return len(done) > 0
	})
	expect.NoError(t, <-done)
	l.verify("claimed", l.driveToEnd(), 0)
}

// TestAnImportWhoseBranchMovedClaimsIt has another process move the branch while an import
// lands that contends with no other one. The import claims the branch then, and not before.
func TestAnImportWhoseBranchMovedClaimsIt(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	setPatience(time.Hour, l.mine)
	seen, moved := 0, false
	l.steps.after = func(int) error {
		if r, err := l.fleet.imports.Get(t.Context(), l.id); err == nil && r.Attempt != nil && !moved {
			moved = true
			if len(claims(l.fleet)) > 0 {
				t.Error("the branch is claimed, though no other import contends for it")
			}
			l.fleet.commit()
		}
		seen = max(seen, len(claims(l.fleet)))
		return nil
	}
	_, err := l.driver(l.mine).step(t.Context())
	expect.NoError(t, err)
	l.verify("outrun", l.driveToEnd(), 1)
	if seen != 1 || len(claims(l.fleet)) > 0 {
		t.Errorf("there were %d claims after the branch had moved, and %d are left", seen, len(claims(l.fleet)))
	}
}

// TestCoordinatorsTakeTurnsOnABranch has two coordinators land many imports on one branch.
func TestCoordinatorsTakeTurnsOnABranch(t *testing.T) {
	t.Parallel()
	const imports = 30
	f, _ := numberedFleet(t, 50)
	one, _ := f.serve()
	other, _ := f.serve()
	f.work(4)
	var ids []string
	for i := range imports {
		ids = append(ids, f.start([]*Service{one, other}[i%2], request("", fmt.Sprint("copy", i))))
	}
	for _, id := range ids {
		f.completed(id)
	}
	if log := f.log(); len(log) != imports+1 {
		t.Errorf("%d commits after %d imports", len(log), imports)
	}
	tree := f.keys()
	if len(tree) != imports*50 {
		t.Errorf("the branch has %d objects, want %d", len(tree), imports*50)
	}
	expect.Eventually(t, "no branch is claimed", func() bool { return len(claims(f)) == 0 })
}
