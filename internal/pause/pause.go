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

// Bound returns the longest time to wait after a number of failures in a row, at least 1:
// first, doubled with each further failure, up to most. A caller that may have failed
// together with others should wait for a random part of it.
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
