package server

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// errBusy says that the memory for requests is in use.
var errBusy = errors.New("the server is busy with large requests, try again")

// budget is the memory that requests hold together, in bytes. What a request needs is
// reckoned before its body is read, and taken at once, so that none waits with a part of
// what it needs. Its methods may be called concurrently.
//
// Requests are given what they need in turn. So that small ones need not wait behind a
// large one, large ones wait for each other before they stand in that line, and leave a
// part of all to small ones.
type budget struct {
	small int64 // a request of more is large
	most  int64 // that large ones hold together
	large *semaphore.Weighted
	free  *semaphore.Weighted
}

func newBudget(all int64) *budget {
	most := all - all/4
	return &budget{small: all / 8, most: most, large: semaphore.NewWeighted(most), free: semaphore.NewWeighted(all)}
}

// take waits for n bytes, for as long as patience, and is errBusy after that. More than
// large requests may hold together is taken as that.
func (b *budget) take(ctx context.Context, n int64) (give func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	giveLarge := func() {}
	if n > b.small {
		n = min(n, b.most)
		if b.large.Acquire(waiting, n) != nil {
			return nil, busyUnless(ctx)
		}
		giveLarge = func() { b.large.Release(n) }
	}
	if b.free.Acquire(waiting, n) != nil {
		giveLarge()
		return nil, busyUnless(ctx)
	}
	return func() { b.free.Release(n); giveLarge() }, nil
}

// busyUnless returns errBusy unless ctx has ended.
func busyUnless(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errBusy
}

// account is what one request has taken of the budget. It is for its goroutine.
type account struct{ give func() }

type accountKey struct{}

// account gives each request an account, and back to the budget what it took once it
// is answered.
func (b *budget) account(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &account{give: func() {}}
		defer func() { a.give() }()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), accountKey{}, a)))
	})
}

// charge takes n bytes for a request.
func (b *budget) charge(r *http.Request, n int64) error {
	give, err := b.take(r.Context(), n)
	if err != nil {
		return err
	}
	if a, ok := r.Context().Value(accountKey{}).(*account); ok {
		a.give = give
	}
	return nil
}
