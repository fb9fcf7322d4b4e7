package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// operation does what a request asks for. It returns the status code and the body of the
// answer, which is nil if there is none. errorWriter answers an error.
type operation func(ctx context.Context, caller access.Caller) (code int, body any, err error)

// serve answers a request before its deadline: it authenticates the client, reserves memory, reads the body,
// checks what the caller may do, waits until the service is ready, and calls do. The memory is
// reserved until the request is answered. A malformed body is reported before missing
// credentials, since clients expect that order, and missing permissions before anything that
// the service knows, such as which repositories there are.
func (c *receiver) serve(w http.ResponseWriter, r *http.Request, in input, do operation) {
	within := api.AnswerWithin
	if in.slow {
		within = requestTimeout
	}
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	r = r.WithContext(ctx)
	switch caller, err := c.login(w, r); {
	case err != nil:
		c.failLogin(w, r, err)
	case caller.User == "":
		c.serveAnonymous(w, r, in)
	default:
		c.serveUser(w, r, in, caller, do)
	}
}

// strangersRetryAfter is how long a client is told to wait whose address sends too many requests
// that prove no user. By then a burst is allowed again.
const strangersRetryAfter = limits.FailedLoginsBurst / limits.FailedLogins * time.Second

// failLogin answers a request whose credentials were not checked.
func (c *receiver) failLogin(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, auth.ErrTooManyLogins):
		tooMany(w, auth.LoginRetryAfter, err.Error()+": try again later")
	case errors.Is(err, errStrangers):
		c.strangers.linger(r)
		tooMany(w, strangersRetryAfter, err.Error()+": try again later")
	default:
		c.fail(w, r, err)
	}
}

// mayChange counts a request that may change something, and answers it if its user sends too many.
func (c *receiver) mayChange(w http.ResponseWriter, caller access.Caller) bool {
	ok := c.changes.take(caller.User)
	if !ok {
		tooMany(w, busyRetryAfter, "too many requests of user "+caller.User+", try again")
	}
	return ok
}

func (c *receiver) serveUser(w http.ResponseWriter, r *http.Request, in input, caller access.Caller, do operation) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !c.mayChange(w, caller) {
		return
	}
	release, err := c.budget.take(r.Context(), in.memory(r.ContentLength))
	if errors.Is(err, errBusy) {
		discard(http.MaxBytesReader(w, r.Body, in.limit))
		tooMany(w, busyRetryAfter, err.Error())
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	defer release()
	if code, err := in.readBody(w, r); err != nil {
		badBody(w, code, err)
		return
	}
	err = c.authorize(w, r, caller, in)
	if err == nil {
		err = c.waitReady(r.Context())
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	code, body, err := do(r.Context(), caller)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	answer(w, code, body)
}

// serveAnonymous answers a request without valid credentials: what is wrong with its
// body, if that is small, or else that it is not authenticated.
func (c *receiver) serveAnonymous(w http.ResponseWriter, r *http.Request, in input) {
	release, ok := c.anonymous.acquire(r.Context(), network(c.proxies.client(r)), 0)
	if !ok {
		unauthorized(w, r)
		return
	}
	defer release()
	hurry(w)
	in.limit = min(in.limit, limits.AnonymousBody)
	if code, err := in.readBody(w, r); err != nil && code != http.StatusRequestEntityTooLarge {
		badBody(w, code, err)
		return
	}
	unauthorized(w, r)
}

// defaultAmount is the number of results on a page if the request names none.
const defaultAmount = 100

// serveList is serve for a request for a page of at most `asked` results. A result takes
// `each` bytes of memory. The amount that it passes to list is the most results of the page.
func (c *receiver) serveList(w http.ResponseWriter, r *http.Request, asked int, each int64, list func(ctx context.Context, amount int) (body any, err error)) {
	c.serveListTo(w, r, asked, each, func(ctx context.Context, _ access.Caller, amount int) (any, error) { return list(ctx, amount) })
}

// serveListTo is serveList for a page that depends on the caller.
func (c *receiver) serveListTo(w http.ResponseWriter, r *http.Request, asked int, each int64, list func(ctx context.Context, caller access.Caller, amount int) (body any, err error)) {
	if asked > limits.Results {
		refuse(w, http.StatusBadRequest, parameterError("amount", fmt.Sprintf("at most %d", limits.Results)))
		return
	}
	if asked <= 0 {
		asked = defaultAmount
	}
	c.serve(w, r, input{fixed: int64(asked) * each}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		body, err := list(ctx, caller, asked)
		return http.StatusOK, body, err
	})
}

// pagination returns the position of a page. name returns the name after which the next page
// starts.
func pagination[T any](results []T, more bool, name func(T) string) api.Pagination {
	next := ""
	if more {
		next = name(results[len(results)-1])
	}
	return pageOf(len(results), next)
}

// pageOf returns the position of a page of n results, behind which next starts; "" if nothing
// follows.
func pageOf(n int, next string) api.Pagination {
	return api.Pagination{HasMore: next != "", NextOffset: next, MaxPerPage: limits.Results, Results: n}
}

// convertAll returns what convert returns for each of values. It is never nil: an empty list
// is not null in JSON.
func convertAll[T, R any](values []T, convert func(T) R) []R {
	converted := make([]R, len(values))
	for i, v := range values {
		converted[i] = convert(v)
	}
	return converted
}

// How long a request waits until the service is ready or memory is free, and how often it
// checks. NATS usually reconnects, or elects a leader, within two seconds. The wait is
// shorter than clients' timeouts; their retries, with the pauses in between, outlast a
// restart.
const (
	maxWait   = 5 * time.Second
	pollEvery = 100 * time.Millisecond
)

// waitReady waits until requests can be served, and returns why they cannot after maxWait.
func (c *receiver) waitReady(ctx context.Context) error {
	if c.ready(ctx) == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for {
		err := c.ready(ctx)
		if err == nil || pause.For(ctx, pollEvery) != nil {
			return err
		}
	}
}
