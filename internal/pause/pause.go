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
