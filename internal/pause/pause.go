// Package pause waits for a time or until a context ends, and computes backoff.
package pause

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends. It returns the error of ctx. It does not wait if d is
// not positive.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}

// Bound returns the longest time to wait after a number of failures in a row, which is at least 1:
// first, doubled for each further failure, up to most. A caller should wait for a random part of
// it if others may have failed at the same time.
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
	maxRest  = 3 * time.Second  // longest rest, unless the work took longer
	longRest = 10 * time.Second // longest rest at all
)

// After returns how long to rest before repeating work that took the given time: at least the time
// least, and so long that the work takes a tenth of the time.
//
// If the work took very long, a server or a process may have been stopped, and the next time may
// be short. Then the rest is bounded, and the work may take half of the time or more.
func After(took, least time.Duration) time.Duration {
	return max(least, min(10*took, max(took, maxRest), longRest))
}
