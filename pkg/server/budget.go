package server

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// errBusy says that the memory for requests is in use.
var errBusy = errors.New("the server is busy with large requests, try again")

// Budget is the memory that all requests to a process may use together. What a request needs
// is estimated before its body is read, and reserved at once: no request holds a part of
// what it needs while it waits for the rest. It is safe for concurrent use.
//
// Reservations are granted in order. Large requests first wait for each other, in a line of
// their own that leaves a part of the budget to small ones, so that small requests need not
// wait behind a large one.
type Budget struct {
	small int64 // a request that needs more is large
	most  int64 // that large ones may use together
	large *semaphore.Weighted
	free  *semaphore.Weighted

	reserved func(bytes int) // see NewBudget
}

// NewBudget returns the budget of a process, limits.RequestMemory bytes. Reserved is told how
// many of them a request reserves, and as a negative number how many it releases.
func NewBudget(reserved func(bytes int)) *Budget { return newBudget(limits.RequestMemory, reserved) }

func newBudget(all int64, reserved func(bytes int)) *Budget {
	most := all - all/4
	return &Budget{small: all / 8, most: most, large: semaphore.NewWeighted(most), free: semaphore.NewWeighted(all), reserved: reserved}
}

// take reserves n bytes, or as many as large requests may use together if that is less.
// It waits at most maxWait, then returns errBusy.
func (b *Budget) take(ctx context.Context, n int64) (release func(), err error) {
	if n <= b.small && b.free.TryAcquire(n) { // most requests need not wait
		return b.reserve(n, func() {}), nil
	}
	waiting, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	releaseLarge := func() {}
	if n > b.small {
		n = min(n, b.most)
		if b.large.Acquire(waiting, n) != nil {
			return nil, busyUnless(ctx)
		}
		releaseLarge = func() { b.large.Release(n) }
	}
	if b.free.Acquire(waiting, n) != nil {
		releaseLarge()
		return nil, busyUnless(ctx)
	}
	return b.reserve(n, releaseLarge), nil
}

// reserve tells of n bytes that are acquired.
func (b *Budget) reserve(n int64, releaseLarge func()) (release func()) {
	b.reserved(int(n))
	return func() { b.free.Release(n); releaseLarge(); b.reserved(-int(n)) }
}

// busyUnless returns errBusy unless ctx has ended.
func busyUnless(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errBusy
}
