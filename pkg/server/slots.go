package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
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

// acquire waits for a slot, up to a time, and reports whether it got one. The caller then
// has to release it.
func (s slots) acquire(ctx context.Context, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) release() { <-s }

// awaitOther calls wait for a request that needs nothing any more but an answer which another
// request makes. The request gives back its slot, and counts as idle meanwhile. So requests that
// wait, however many, do not keep others from being served.
func awaitOther(r *http.Request, wait func()) {
	waitAside(r.Context(), wait)
}

// waitAside is awaitOther for the request of a context.
func waitAside(ctx context.Context, wait func()) {
	s := servedIn(ctx)
	if s != nil {
		s.giveBack()
	}
	s.idleDuring(func() bool { wait(); return true })
}

// pauseAside delays the answer to the request of a context, which needs nothing else any more: so
// many guesses at a time do not keep others from being served. It returns the error of ctx if
// that ends first.
func pauseAside(ctx context.Context, d time.Duration) (err error) {
	if d > 0 {
		waitAside(ctx, func() { err = pause.For(ctx, d) })
	}
	return err
}

// busyRetryAfter is how long a client is told to wait when all slots are taken.
const busyRetryAfter = time.Second

// burstWait is how long a request waits for a slot. Requests that come all at once, most of them
// soon answered, should not be refused.
const burstWait = 250 * time.Millisecond

// limitConcurrency serves at most a number of requests at a time, without those that wait in
// awaitOther. Health checks and metrics are always served.
func limitConcurrency(most int, next http.Handler) http.Handler {
	free := make(slots, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_") || r.URL.Path == "/metrics" {
			next.ServeHTTP(w, r)
			return
		}
		s := servedOf(r)
		if !free.tryAcquire() && !s.idleDuring(func() bool { return free.acquire(r.Context(), burstWait) }) {
			tooMany(w, busyRetryAfter, "too many requests at a time, try again")
			return
		}
		if s == nil {
			defer free.release()
		} else {
			s.slot = free
			defer s.giveBack()
		}
		next.ServeHTTP(w, r)
	})
}
