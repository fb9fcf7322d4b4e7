package branchqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
)

// alone are the queues of the only coordinator, which claims no branch.
func alone() *Queues {
	return New(Config{Alone: func() bool { return true }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
}

// enqueue makes imports of so many objects wait for a branch, in this order. It returns
// the imports in the order in which they get a turn once the present turn is released.
func enqueue(t *testing.T, q *Queues, branch string, objects ...int64) (turns <-chan int64) {
	t.Helper()
	got := make(chan int64, len(objects))
	for i, n := range objects {
		go func() {
			turn, err := q.Wait(t.Context(), branch, n)
			if err != nil {
				t.Error(err)
				return
			}
			got <- n
			turn.Release(t.Context())
		}()
		expect.Eventually(t, fmt.Sprintf("import %d waits", i), func() bool { return q.waiting(branch) == i+1 })
	}
	return got
}

// waiting returns how many imports wait for a turn on the branch.
func (q *Queues) waiting(branch string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.branches[branch].waiting)
}

func TestEveryOtherTurnGoesToTheSmallestImport(t *testing.T) {
	t.Parallel()
	q := alone()
	first, err := q.Wait(t.Context(), "b", 0)
	expect.NoError(t, err)
	turns := enqueue(t, q, "b", 900, 800, 700, 10, 600, 11, 12)
	first.Release(t.Context())
	var got []int64
	for range 7 {
		got = append(got, <-turns)
	}
	if want := []int64{10, 900, 11, 800, 12, 700, 600}; !slices.Equal(got, want) {
		t.Errorf("turns went to %v, want %v", got, want)
	}
}

func TestBranchesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	q := alone()
	_, err := q.Wait(t.Context(), "one", 1)
	expect.NoError(t, err)
	other, err := q.Wait(t.Context(), "other", 1)
	expect.NoError(t, err)
	if other.Release(t.Context()); len(q.branches) != 1 {
		t.Errorf("%d queues are left, want the one whose turn is held", len(q.branches))
	}
}

// TestConcurrentTurns runs many imports, some of which stop waiting. At most one import
// has the turn of a branch, all others get one, and no queue is left.
func TestConcurrentTurns(t *testing.T) {
	t.Parallel()
	const branches, users = 3, 400
	q, rnd := alone(), seeded.Rand(t)
	var mu sync.Mutex
	served, now := 0, make(map[string]int)
	var running sync.WaitGroup
	for range users {
		branch, objects, giveUp := fmt.Sprint(rnd.IntN(branches)), rnd.Int64N(5), rnd.IntN(4) == 0
		running.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if giveUp {
				go cancel()
			}
			turn, err := q.Wait(ctx, branch, objects)
			if err != nil {
				if !giveUp || !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			if served, now[branch] = served+1, now[branch]+1; now[branch] > 1 {
				t.Errorf("%d imports have the turn of branch %s", now[branch], branch)
			}
			mu.Unlock()
			for range rand.IntN(100) {
				_ = fmt.Sprint(branch) // takes a moment
			}
			mu.Lock()
			now[branch]--
			mu.Unlock()
			turn.Release(ctx)
		})
	}
	running.Wait()
	if served < users/2 || len(q.branches) != 0 {
		t.Errorf("%d of %d imports got a turn, %d queues are left", served, users, len(q.branches))
	}
}
