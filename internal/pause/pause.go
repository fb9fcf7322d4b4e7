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
