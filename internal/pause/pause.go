// Package pause waits for time to pass, unless there is no reason to any more.
package pause

import (
	"context"
	"time"
)

// For waits for d, and not at all if that is not above 0. It returns the error of ctx
// once that has ended, which it does not outlast.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}

// Bound returns how long to wait at most after so many failures in a row, at least 1:
// first, and twice as long with each one more, up to most. Who may have failed
// together with others waits for a random part of it.
func Bound(first, most time.Duration, failures int) time.Duration {
	bound := first
	for range failures - 1 {
		if bound >= most/2 {
			return most
		}
		bound *= 2
	}
	return min(bound, most)
}

const (
	maxRest  = 3 * time.Second  // longest rest after work that took less
	longRest = 10 * time.Second // longest rest at all
)

// After returns how long to rest from work that is done again and again and took so long
// just now: at least the given time, and so long that the work takes a tenth of the time.
//
// Work that took very long may have met a server or a process that was stopped, which
// says nothing of the next time. After that it may take half of the time, or more.
func After(took, least time.Duration) time.Duration {
	return max(least, min(10*took, max(took, maxRest), longRest))
}
