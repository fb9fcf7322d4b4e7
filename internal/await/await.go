// Package await polls until a condition holds, for tests and benchmarks that observe other
// goroutines, processes and machines from outside.
package await

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// every is the pause between two polls.
const every = 10 * time.Millisecond

// Until polls until ask returns true, and then returns nil. It returns an error if ask returns
// one, if ctx ends, or after the time within. The end of the time also ends the context of ask.
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

// Serving returns a condition for Until: a URL answers GET with 200. Failed requests are not
// errors.
func Serving(url string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil //nolint:nilerr // the server is not up yet
		}
		return resp.StatusCode == http.StatusOK, resp.Body.Close()
	}
}
