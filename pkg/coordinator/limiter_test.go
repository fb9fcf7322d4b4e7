package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
)

// TestLimiter has many users take turns under a few keys, some of which stop waiting. The
// bounds hold, all others get a turn, and no key is left.
func TestLimiter(t *testing.T) {
	t.Parallel()
	const all, each, keys, users = 5, 2, 4, 400
	l := newLimiter(all, each)
	var mu sync.Mutex
	var now, served int
	of := make(map[string]int)
	rnd := seeded.Rand(t)
	var running sync.WaitGroup
	for range users {
		key, giveUp := fmt.Sprint(rnd.IntN(keys)), rnd.IntN(4) == 0
		running.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if giveUp {
				go cancel()
			}
			done, err := l.take(ctx, key)
			if err != nil {
				if !giveUp || !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			now, served, of[key] = now+1, served+1, of[key]+1
			if now > all || of[key] > each {
				t.Errorf("%d users at a time, %d of them of key %s", now, of[key], key)
			}
			mu.Unlock()
			for range rand.IntN(100) {
				_ = fmt.Sprint(key) // takes a moment
			}
			mu.Lock()
			now, of[key] = now-1, of[key]-1
			mu.Unlock()
			done()
		})
	}
	running.Wait()
	if served < users/2 || len(l.keys) != 0 || len(l.all) != 0 {
		t.Errorf("%d of %d users got a turn, %d keys and %d turns are left", served, users, len(l.keys), len(l.all))
	}
}

// TestASlowKeyDoesNotDelayOthers takes all turns of one key.
func TestASlowKeyDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	l := newLimiter(3, 2)
	for range 2 {
		_, err := l.take(t.Context(), "slow")
		expect.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := l.take(ctx, "slow")
		waiting <- err
	}()
	for range 10 {
		done, err := l.take(t.Context(), "quick")
		expect.NoError(t, err)
		done()
	}
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("a third turn under the slow key: %v", err)
	}
}
