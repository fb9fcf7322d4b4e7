// Package await asks until something is so. It is for tests and benchmarks, which
// look at other goroutines, processes and machines from outside.
package await

import (
	"context"
	"fmt"
	"time"
)

// every is the pause between two questions.
const every = 10 * time.Millisecond

// Until asks until the answer is yes, and returns nil; or until asking fails, ctx
// ends or so much time has passed, and returns why. The context of a question ends
// with that time.
func Until(ctx context.Context, within time.Duration, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		if ok, err := ask(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %w", within, ctx.Err())
		case <-ticks.C:
		}
	}
}
