package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestACrashAtAnyStepLeavesOneCommit(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			everyStep(t, func(l *coveredImport, n int) {
				d := l.driver(l.mine)
				l.steps.n = 0
				kill := func(at int) error {
					if at >= n {
						return errKilled
					}
					return nil
				}
				if l.steps.before = kill; when == "after" {
					l.steps.before, l.steps.after = nil, kill
				}
				_, err := d.step(t.Context())
				if killed := l.steps.n >= n; killed != errors.Is(err, errKilled) {
					t.Fatalf("step %d of %d: %v", n, l.steps.n, err)
				}
				l.verify(fmt.Sprintf("killed at step %d", n), l.driveToEnd(), 0)
			})
		})
	}
}

// TestACommitAtAnyStepIsKept makes another commit at every step. Each attempt that it keeps from
// landing counts as moved, once.
func TestACommitAtAnyStepIsKept(t *testing.T) {
	t.Parallel()
	kept := 0
	everyStep(t, func(l *coveredImport, n int) {
		d := l.driver(l.mine)
		l.steps.n = 0
		others := 0
		l.steps.before = func(at int) error {
			if at == n {
				others++
				l.fleet.commit()
			}
			return nil
		}
		attempts := map[string]bool{}
		l.steps.after = func(int) error {
			if a := l.fleet.record(l.id).Attempt; a != nil {
				attempts[a.CommitID] = true
			}
			return nil
		}
		_, err := d.step(t.Context())
		expect.NoError(t, err)
		l.verify(fmt.Sprintf("another commit at step %d", n), l.driveToEnd(), others)
		kept += len(attempts) - 1
		if moved := sample(t, l.mine, "rangefleet_commit_attempts_total", attemptMoved); moved != float64(len(attempts)-1) {
			t.Errorf("another commit at step %d: of %d attempts %v count as moved", n, len(attempts), moved)
		}
	})
	if kept == 0 {
		t.Error("no attempt was kept from landing")
	}
}

// TestTwoCoordinatorsCommitOnce has another coordinator drive the import at every step,
// as it would after it took the first one for dead.
func TestTwoCoordinatorsCommitOnce(t *testing.T) {
	t.Parallel()
	for _, moved := range []bool{false, true} {
		t.Run(fmt.Sprintf("the head moves in between: %t", moved), func(t *testing.T) {
			everyStep(t, func(l *coveredImport, n int) {
				d := l.driver(l.mine)
				l.steps.n = 0
				others := 0
				l.steps.before = func(at int) error {
					if at == n {
						if moved {
							others++
							l.fleet.commit()
						}
						_, err := l.driver(l.other).step(t.Context())
						expect.NoError(t, err)
					}
					return nil
				}
				if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
					t.Fatalf("step %d: %v", n, err)
				}
				l.verify(fmt.Sprintf("another coordinator at step %d", n), l.driveToEnd(), others)
			})
		})
	}
}

// TestTwoCoordinatorsInterleaved runs two coordinators, and another process that moves
// the head, and interleaves their calls at random.
func TestTwoCoordinatorsInterleaved(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	rng := seeded.Rand(t)
	for round := range 150 {
		l := newLanding(t, q)
		theirs := &steps{}
		second := fleetOf(l.fleet, stepKV{l.state, theirs}, stepKV{l.history, theirs}).service()
		setPatience(0, second)
		drivers := []*driver{l.driver(l.mine), l.driver(second)}
		moves := rng.IntN(2)
		turns := &turns{rng: rng, live: len(drivers) + moves}
		l.steps.before, theirs.before = turns.of(0), turns.of(1)
		var running sync.WaitGroup
		for who, d := range drivers {
			running.Go(func() {
				defer turns.end()
				if _, err := d.step(t.Context()); err != nil && !fault.Is(err, fault.Conflict) {
					t.Errorf("round %d, coordinator %d: %v", round, who, err)
				}
			})
		}
		if moves > 0 {
			pauses := rng.IntN(15)
			running.Go(func() {
				defer turns.end()
				for n := range pauses + 1 {
					_ = turns.of(2)(n)
				}
				l.fleet.commit()
			})
		}
		running.Wait()
		second.close()
		l.verify(fmt.Sprintf("round %d", round), l.driveToEnd(), moves)
	}
}

// turns lets one of several goroutines at a time take a step, chosen at random.
type turns struct {
	mu      sync.Mutex
	rng     *rand.Rand
	live    int
	waiting map[int]chan struct{}
}

// of returns the hook by which one goroutine waits before each of its steps.
func (s *turns) of(who int) func(int) error {
	return func(int) error {
		turn := make(chan struct{})
		s.mu.Lock()
		if s.waiting == nil {
			s.waiting = make(map[int]chan struct{})
		}
		s.waiting[who] = turn
		s.next()
		s.mu.Unlock()
		<-turn
		return nil
	}
}

func (s *turns) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	s.next()
}

// next gives a goroutine the turn once all of them wait for it.
func (s *turns) next() {
	if s.live == 0 || len(s.waiting) < s.live {
		return
	}
	all := slices.Sorted(maps.Keys(s.waiting))
	who := all[s.rng.IntN(len(all))]
	close(s.waiting[who])
	delete(s.waiting, who)
}
