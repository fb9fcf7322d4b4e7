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
type budget struct {
	most int64
	free *semaphore.Weighted
}

func newBudget(most int64) *budget { return &budget{most: most, free: semaphore.NewWeighted(most)} }

// take waits for n bytes, for as long as patience, and is errBusy after that. More than
// all there is is taken as that.
func (b *budget) take(ctx context.Context, n int64) (give func(), err error) {
	n = min(n, b.most)
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if b.free.Acquire(waiting, n) != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errBusy
	}
	return func() { b.free.Release(n) }, nil
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
