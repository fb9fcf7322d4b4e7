package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// moves is a bucket that records all heads to which branches are moved, in order.
type moves struct {
	kv.Bucket
	mu    sync.Mutex
	heads []string
}

func (m *moves) Update(ctx context.Context, key string, value []byte, old uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rev, err := m.Bucket.Update(ctx, key, value, old)
	if err == nil && strings.HasPrefix(key, "b.") {
		m.heads = append(m.heads, string(value))
	}
	return rev, err
}

// landings returns how often the branch was moved to a commit of the import.
func (l *coveredImport) landings() int {
	l.fleet.t.Helper()
	l.moves.mu.Lock()
	defer l.moves.mu.Unlock()
	n := 0
	for _, id := range l.moves.heads {
		c, err := l.fleet.catalog.Commit(l.fleet.t.Context(), "repo", id)
		expect.NoError(l.fleet.t, err)
		if c.Committer == "me" {
			n++
		}
	}
	return n
}

// reset moves main back to its first commit, as a user does.
func (l *coveredImport) reset() {
	l.fleet.t.Helper()
	log := l.fleet.log()
	first := log[len(log)-1].ID
	err := l.other.ResetBranch(l.fleet.t.Context(), "admin", "repo", "main", first)
	for fault.Is(err, fault.Conflict) {
		err = l.other.ResetBranch(l.fleet.t.Context(), "admin", "repo", "main", first)
	}
	expect.NoError(l.fleet.t, err)
}

// landedOnce checks that the import is completed by one move of the branch. Its commit is
// on the branch unless the import had landed before the last reset.
func (l *coveredImport) landedOnce(name string, before bool) {
	l.fleet.t.Helper()
	r := l.driveToEnd()
	mine := 0
	for _, c := range l.fleet.log() {
		if c.Committer == "me" {
			mine++
		}
	}
	if r.State != imports.Completed || l.landings() != 1 || before != (mine == 0) {
		l.fleet.t.Errorf("%s: import is %s: %q; it landed %d times, %v before the reset, and %d of its commits are on the branch",
			name, r.State, r.Error, l.landings(), before, mine)
	}
}

// TestAResetAtAnyStep resets the branch at every step of landing, to the commit that was
// the head when the attempt was made, with or without other commits in between, while the
// driver goes on or dies.
func TestAResetAtAnyStep(t *testing.T) {
	t.Parallel()
	for _, commits := range []int{0, 1} {
		for _, dies := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d commits between, the driver dies: %t", commits, dies), func(t *testing.T) {
				everyStep(t, func(l *coveredImport, n int) {
					d := l.driver(l.mine)
					l.steps.n = 0
					before := false
					l.steps.before = func(at int) error {
						if at < n || at > n && !dies {
							return nil
						}
						if at == n {
							for range commits {
								l.fleet.commit()
							}
							before = l.landings() > 0
							l.reset()
						}
						if dies {
							return errKilled
						}
						return nil
					}
					if _, err := d.step(t.Context()); err != nil && !errors.Is(err, errKilled) {
						t.Fatalf("step %d: %v", n, err)
					}
					l.landedOnce(fmt.Sprintf("reset at step %d", n), before)
				})
			})
		}
	}
}

// TestADeadAttemptStaysDead makes another commit, has another coordinator land the import
// on it, and resets the branch to the head that the first coordinator saw, all at every
// step of the first coordinator.
func TestADeadAttemptStaysDead(t *testing.T) {
	t.Parallel()
	everyStep(t, func(l *coveredImport, n int) {
		d := l.driver(l.mine)
		l.steps.n = 0
		l.steps.before = func(at int) error {
			if at == n {
				l.fleet.commit()
				l.driveToEnd()
				l.reset()
			}
			return nil
		}
		if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
			t.Fatalf("step %d: %v", n, err)
		}
		l.landedOnce(fmt.Sprintf("landed by another coordinator before step %d", n), l.steps.n >= n)
	})
}

// TestAFailedImportStaysFailed fails an import whose attempt is dead, and resets the branch
// to the parent of the attempt while another driver still tries to land it.
func TestAFailedImportStaysFailed(t *testing.T) {
	t.Parallel()
	everyStep(t, func(l *coveredImport, n int) {
		d := l.driver(l.mine)
		l.steps.n = 0
		failed := false
		l.steps.before = func(at int) error {
			if at != n {
				return nil
			}
			l.fleet.commit()
			r := l.fleet.record(l.id)
			if r.Attempt != nil && l.landings() == 0 {
				_, err := l.fleet.imports.Apply(t.Context(), l.id, func(r imports.Record) (imports.Record, error) {
					return r.Fail(l.fleet.config.Now(), r.Attempt, "given up", 0)
				})
				expect.NoError(t, err)
				failed = true
			}
			l.reset()
			return nil
		}
		if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
			t.Fatalf("step %d: %v", n, err)
		}
		r := l.driveToEnd()
		if failed && (r.State != imports.Failed || l.landings() != 0) {
			t.Errorf("step %d: an import that failed is %s and landed %d times", n, r.State, l.landings())
		}
	})
}

// TestResetsInterleaved runs two coordinators, a process that commits, and one that resets
// the branch, and interleaves their calls at random.
func TestResetsInterleaved(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	rng := seeded.Rand(t)
	for round := range 150 {
		l := newLanding(t, q)
		theirs, users := &steps{}, &steps{}
		second := fleetOf(l.fleet, stepKV{l.state, theirs}, stepKV{l.history, theirs}).service()
		user := fleetOf(l.fleet, stepKV{l.state, users}, stepKV{l.history, users}).service()
		setPatience(0, second)
		first := l.fleet.log()[0].ID
		turns := &turns{rng: rng, live: 4}
		l.steps.before, theirs.before, users.before = turns.of(0), turns.of(1), turns.of(2)
		var running sync.WaitGroup
		for who, d := range []*driver{l.driver(l.mine), l.driver(second)} {
			running.Go(func() {
				defer turns.end()
				if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("round %d, coordinator %d: %v", round, who, err)
				}
			})
		}
		running.Go(func() {
			defer turns.end()
			for range 3 {
				if err := user.ResetBranch(t.Context(), "admin", "repo", "main", first); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("round %d: reset: %v", round, err)
				}
			}
		})
		pauses := rng.IntN(15)
		running.Go(func() {
			defer turns.end()
			for n := range pauses + 1 {
				_ = turns.of(3)(n)
			}
			l.fleet.commit()
		})
		running.Wait()
		second.close()
		user.close()
		if r := l.driveToEnd(); r.State != imports.Completed || l.landings() != 1 {
			t.Errorf("round %d: import is %s: %q, and landed %d times", round, r.State, r.Error, l.landings())
		}
	}
}
