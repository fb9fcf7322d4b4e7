package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

const claimOfMain = claimPrefix + "repo.main"

// taken is a turn on the branch main.
func taken(t *testing.T, s *Service) *line {
	t.Helper()
	line, err := s.lines.take(t.Context(), "repo.main", 1)
	expect.NoError(t, err)
	return line
}

// claims returns the claims that are there.
func (f *fleet) claims() []string {
	f.t.Helper()
	names, err := f.queue.Leases(f.t.Context(), claimPrefix)
	expect.NoError(f.t, err)
	return names
}

// TestAnImportWaitsWhileAnotherCoordinatorHasTheBranch lands an import on a branch
// that is claimed.
func TestAnImportWaitsWhileAnotherCoordinatorHasTheBranch(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	l.mine.patience = time.Hour
	lease, err := l.queue.Acquire(t.Context(), claimOfMain, "another")
	expect.NoError(t, err)
	d, done := l.driver(l.mine), make(chan error)
	go func() {
		_, err := d.step(t.Context())
		done <- err
	}()
	expect.Eventually(t, "the import is in line", func() bool {
		l.mine.lines.mu.Lock()
		defer l.mine.lines.mu.Unlock()
		return len(l.mine.lines.of) == 1
	})
	before, err := l.imports.Get(t.Context(), l.id)
	expect.NoError(t, err)
	expect.NoError(t, lease.Release(t.Context()))
	expect.NoError(t, <-done)
	if after := l.settle(); before.State != imports.Running || after.State != imports.Completed {
		t.Errorf("the import was %s while the branch was claimed, and is %s", before.State, after.State)
	}
	if left := l.claims(); len(left) != 0 {
		t.Errorf("claims are left: %v", left)
	}
}

// TestAClaimThatStaysHoldsNoImportUp has somebody hold the branch for ever.
func TestAClaimThatStaysHoldsNoImportUp(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	_, err := l.queue.Acquire(t.Context(), claimOfMain, "another")
	expect.NoError(t, err)
	_, err = l.driver(l.mine).step(t.Context())
	expect.NoError(t, err)
	l.verify("claimed", l.settle(), 0)
}

// TestOnlyRivalsClaim wants a claim where others wait for the branch too, or the
// branch moved meanwhile, and none else.
func TestOnlyRivalsClaim(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	l.mine.patience = time.Hour
	seen, moved := 0, false
	l.steps.after = func(int) error {
		if r, err := l.imports.Get(t.Context(), l.id); err == nil && r.Attempt != nil && !moved {
			moved = true
			if len(l.claims()) > 0 {
				t.Error("the branch is claimed, though nobody else wants it")
			}
			l.commit()
		}
		seen = max(seen, len(l.claims()))
		return nil
	}
	_, err := l.driver(l.mine).step(t.Context())
	expect.NoError(t, err)
	l.verify("outrun", l.settle(), 1)
	if seen != 1 || len(l.claims()) > 0 {
		t.Errorf("%d claims were there once the branch had moved, %d are left", seen, len(l.claims()))
	}
}

// TestAClaimIsKeptForTheNextInLine goes through a line of three turns, and then has
// it claimed for so long that others are let in.
func TestAClaimIsKeptForTheNextInLine(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	s := f.service()
	first := taken(t, s)
	turns := queued(t, s.lines, "repo.main", 1, 2)
	s.claim(t.Context(), first, true)
	lease := first.claim.lease
	if s.unclaim(t.Context(), first); lease == nil || first.claim.lease != lease {
		t.Errorf("the claim of a moment ago, %v, is %v", lease, first.claim.lease)
	}
	first.claim.since = time.Now().Add(-claimFor)
	if s.unclaim(t.Context(), first); first.claim.lease != nil || len(f.claims()) > 0 {
		t.Errorf("after %v the branch is still claimed: %v", claimFor, f.claims())
	}
	if !first.claim.next.After(time.Now().Add(-claimFor)) {
		t.Error("others are not let in")
	}
	s.lines.leave(first)
	<-turns
	<-turns
}

// TestCoordinatorsTakeTurnsOnABranch has two of them land many imports on one.
func TestCoordinatorsTakeTurnsOnABranch(t *testing.T) {
	t.Parallel()
	const imports = 30
	source, _ := numbered(50)
	f := newFleet(t, source)
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
	expect.Eventually(t, "no branch is claimed", func() bool { return len(f.claims()) == 0 })
}
