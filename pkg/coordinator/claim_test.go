package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
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
	l.mine.patience = time.Hour
	d, done := l.driver(l.mine), make(chan error, 1)
	go func() {
		_, err := d.step(t.Context())
		done <- err
	}()
	expect.Eventually(t, "it is waited for in vain", func() bool {
		l.clock.Add(int64(time.Hour))
		return len(done) > 0
	})
	expect.NoError(t, <-done)
	l.verify("claimed", l.settle(), 0)
}

// TestThatTheQueueFailsToTellOfClaimsIsWarnedOf ends its connection.
func TestThatTheQueueFailsToTellOfClaimsIsWarnedOf(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	var text transcript.Buffer
	f.config.Log = slog.New(slog.NewTextHandler(&text, nil))
	s := f.service()
	turn := taken(t, s)
	f.queue.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if s.claim(ended, turn, false); text.String() != "" {
		t.Errorf("logged %q of a look that nobody waits for", text.String())
	}
	for n, rivals := range []bool{false, true} { // it looks, or claims at once
		s.claim(t.Context(), turn, rivals)
		if strings.Count(text.String(), `level=WARN msg="claim a branch" branch=repo.main`) != n+1 {
			t.Errorf("rivals %t: logged %q, want one more warning", rivals, text.String())
		}
	}
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

// TestTheOnlyCoordinatorClaimsNothing has a scan count the coordinators.
func TestTheOnlyCoordinatorClaimsNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	s := f.service()
	turn := taken(t, s)
	expect.NoError(t, s.scan(t.Context()))
	if s.claim(t.Context(), turn, true); len(f.claims()) > 0 {
		t.Error("the only coordinator claims a branch")
	}
	_, err := f.queue.Acquire(t.Context(), memberPrefix+"other", "another")
	expect.NoError(t, err)
	expect.NoError(t, s.scan(t.Context()))
	if s.claim(t.Context(), turn, true); len(f.claims()) != 1 {
		t.Error("one of two coordinators does not claim a branch")
	}
	s.leave(t.Context(), turn)
}

// TestAClaimIsKeptForTheNextInLine goes through a line of three turns: a claim goes
// with the turn, until others are let in, and with the last turn.
func TestAClaimIsKeptForTheNextInLine(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	begun := time.Now()
	f.config.Now = func() time.Time { return begun.Add(time.Duration(f.clock.Load())) }
	s := f.service()
	first := taken(t, s)
	s.claim(t.Context(), first, true)
	second, third := inLine(t, s), inLine(t, s)
	f.clock.Store(int64(claimFor - 1))
	if s.leave(t.Context(), first); len(f.claims()) != 1 {
		t.Error("the branch is not claimed any more before others are let in")
	}
	line := <-second
	s.claim(t.Context(), line, true)
	f.clock.Store(int64(claimFor))
	if s.leave(t.Context(), line); len(f.claims()) > 0 || !line.claim.next.After(begun.Add(claimFor)) {
		t.Errorf("after %v the branch is still claimed: %v", claimFor, f.claims())
	}
	line = <-third
	s.claim(t.Context(), line, true)
	if len(f.claims()) != 1 {
		t.Error("the branch is not claimed once others were let in")
	}
	if s.leave(t.Context(), line); len(f.claims()) > 0 {
		t.Errorf("nobody waits, and the branch is claimed: %v", f.claims())
	}
}

// inLine waits for a turn on main behind others, and returns where it comes.
func inLine(t *testing.T, s *Service) <-chan *line {
	t.Helper()
	s.lines.mu.Lock()
	before := len(s.lines.of["repo.main"].waiting)
	s.lines.mu.Unlock()
	turn := make(chan *line, 1)
	go func() {
		line, err := s.lines.take(t.Context(), "repo.main", 1)
		if err != nil {
			t.Error(err)
		}
		turn <- line
	}()
	expect.Eventually(t, "it waits in line", func() bool {
		s.lines.mu.Lock()
		defer s.lines.mu.Unlock()
		return len(s.lines.of["repo.main"].waiting) > before
	})
	return turn
}

// TestAClaimIsWaitedForInVainOnce has a coordinator hold a branch for ever that two
// imports wait for: only the first one waits for it.
func TestAClaimIsWaitedForInVainOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, nil)
	s := f.service()
	s.patience = 0
	_, err := f.queue.Acquire(t.Context(), claimOfMain, "another")
	expect.NoError(t, err)
	first := taken(t, s)
	s.claim(t.Context(), first, true)
	second := inLine(t, s)
	s.leave(t.Context(), first)
	s.patience = time.Hour
	line := <-second
	s.claim(t.Context(), line, true) // at once
	s.leave(t.Context(), line)
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
