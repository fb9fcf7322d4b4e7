package server

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// slots is a semaphore: its capacity is the number of goroutines that may do something at a
// time. Methods may be called concurrently.
type slots chan struct{}

// tryAcquire reports whether a slot was free. The caller then has to release it.
func (s slots) tryAcquire() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// acquire waits for a slot, up to maxWait, and reports whether it got one. The caller then
// has to release it.
func (s slots) acquire(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) release() { <-s }

// busyRetryAfter is how long a client is told to wait when all slots are taken.
const busyRetryAfter = time.Second

// limitConcurrency serves at most a number of requests at a time. Health checks and
// metrics are always served.
func limitConcurrency(most int, next http.Handler) http.Handler {
	served := make(slots, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_") || r.URL.Path == "/metrics" {
			next.ServeHTTP(w, r)
			return
		}
		if !served.tryAcquire() {
			tooMany(w, busyRetryAfter, "too many requests at a time, try again")
			return
		}
		defer served.release()
		next.ServeHTTP(w, r)
	})
}
