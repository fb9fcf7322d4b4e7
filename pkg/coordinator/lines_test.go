package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
)

func newLines() *lines { return &lines{of: make(map[string]*line)} }

// queued has imports of so many objects wait for a branch, one after another, and
// returns who gets a turn, in that order, once the turn that is held is given back.
func queued(t *testing.T, l *lines, branch string, objects ...int64) (turns <-chan int64) {
	t.Helper()
	got := make(chan int64, len(objects))
	for i, n := range objects {
		go func() {
			line, err := l.take(t.Context(), branch, n)
			if err != nil {
				t.Error(err)
				return
			}
			got <- n
			l.leave(line)
		}()
		expect.Eventually(t, fmt.Sprintf("import %d waits", i), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.of[branch].waiting) == i+1
		})
	}
	return got
}

// TestEveryOtherTurnIsTheSmallestOnes has imports wait for a branch.
func TestEveryOtherTurnIsTheSmallestOnes(t *testing.T) {
	t.Parallel()
	l := newLines()
	first, err := l.take(t.Context(), "b", 0)
	expect.NoError(t, err)
	turns := queued(t, l, "b", 900, 800, 700, 10, 600, 11, 12)
	l.leave(first)
	var got []int64
	for range 7 {
		got = append(got, <-turns)
	}
	if want := []int64{10, 900, 11, 800, 12, 700, 600}; !slices.Equal(got, want) {
		t.Errorf("turns went to %v, want %v", got, want)
	}
}

// TestBranchesDoNotWaitForEachOther takes a turn while another branch's is held.
func TestBranchesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	l := newLines()
	_, err := l.take(t.Context(), "one", 1)
	expect.NoError(t, err)
	other, err := l.take(t.Context(), "other", 1)
	expect.NoError(t, err)
	if l.leave(other); len(l.of) != 1 {
		t.Errorf("%d lines are left, want that of the turn that is held", len(l.of))
	}
}

// TestLines has many want turns, some of which give up, and wants one at a time
// under each branch, everybody served and nothing remembered.
func TestLines(t *testing.T) {
	t.Parallel()
	const branches, users = 3, 400
	l, rnd := newLines(), seeded.Rand(t)
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
			line, err := l.take(ctx, branch, objects)
			if err != nil {
				if !giveUp || !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			if served, now[branch] = served+1, now[branch]+1; now[branch] > 1 {
				t.Errorf("%d turns on branch %s at a time", now[branch], branch)
			}
			mu.Unlock()
			for range rand.IntN(100) {
				_ = fmt.Sprint(branch) // takes a moment
			}
			mu.Lock()
			now[branch]--
			mu.Unlock()
			l.leave(line)
		})
	}
	running.Wait()
	if served < users/2 || len(l.of) != 0 {
		t.Errorf("%d of %d served, %d lines left", served, users, len(l.of))
	}
}
