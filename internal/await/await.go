// Package await asks until something is so. It is for tests and benchmarks, which
// look at other goroutines, processes and machines from outside.
package await

import (
	"context"
	"fmt"
	"net/http"
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

// Serving asks whether a URL answers a GET with 200. Who does not answer at all may
// yet.
func Serving(url string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return resp.StatusCode == http.StatusOK, resp.Body.Close()
	}
}
