// Package retry decorates an objectstore.Store with retries of transient errors: a listing
// goes on after the last key that it handed over, any other call is repeated.
package retry

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Policy says how often and how fast calls are retried.
type Policy struct {
	Attempts int           // tries of one call, or of one page of a listing; at least 1
	Base     time.Duration // upper bound of the first delay; it doubles with each further one
	Max      time.Duration // upper bound of all delays
	Timeout  time.Duration // deadline of one try, or of one page of a listing; 0: none

	// Sleep waits for d or until ctx ends, and then returns its error. Nil is
	// the real clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Jitter returns a random duration in [0, d). Nil is a random source of the
	// process. d is at least 1.
	Jitter func(d time.Duration) time.Duration
}

// DefaultPolicy retries for about half a minute.
var DefaultPolicy = Policy{Attempts: 10, Base: 500 * time.Millisecond, Max: 10 * time.Second}

// Retrier decorates stores. It is safe for concurrent use.
type Retrier struct {
	policy  Policy
	retries *prometheus.CounterVec
}

// Operations, as the metric's label has them.
const (
	opList = "list"
	opStat = "stat"
	opGet  = "get"
	opPut  = "put"
)

// New returns a Retrier that counts its retries in
// rangefleet_objectstore_retries_total.
func New(p Policy, reg prometheus.Registerer) *Retrier {
	if p.Sleep == nil {
		p.Sleep = pause.For
	}
	if p.Jitter == nil {
		p.Jitter = rand.N[time.Duration]
	}
	return &Retrier{policy: p, retries: metric.With(reg).CounterVec("objectstore_retries_total",
		"Calls to object stores that were tried again after a transient error.", metric.By("operation", opList, opStat, opGet, opPut))}
}

// Wrap returns s with retries.
func (r *Retrier) Wrap(s objectstore.Store) objectstore.Store { return &store{retrier: r, next: s} }

type store struct {
	retrier *Retrier
	next    objectstore.Store
}

var _ objectstore.Store = (*store)(nil)

// List implements objectstore.Store. A page that was handed over is never handed over again,
// and after it a page has all its tries.
func (s *store) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		after := after
		for failures := 0; ; {
			var failure error
			for page, err := range s.listOnce(ctx, prefix, after, opts) {
				if err != nil {
					failure = err
					break
				}
				failures, after = 0, string(page[len(page)-1].Key)
				if !yield(page, nil) {
					return
				}
			}
			if failure == nil {
				return
			}
			failures++
			if err := s.retrier.pause(ctx, opList, failures, failure); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// listOnce is the decorated List with the policy's deadline for each page. The
// time that the consumer takes for a page does not count.
func (s *store) listOnce(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	if s.retrier.policy.Timeout <= 0 {
		return s.next.List(ctx, prefix, after, opts)
	}
	return func(yield func([]objectstore.Listed, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		late := time.AfterFunc(s.retrier.policy.Timeout, func() { cancel(context.DeadlineExceeded) })
		defer late.Stop()
		for page, err := range s.next.List(ctx, prefix, after, opts) {
			late.Stop()
			if !yield(page, err) {
				return
			}
			late.Reset(s.retrier.policy.Timeout)
		}
	}
}

// Stat implements objectstore.Store.
func (s *store) Stat(ctx context.Context, key string) (o objectstore.Object, err error) {
	err = s.repeat(ctx, opStat, func(ctx context.Context) error {
		o, err = s.next.Stat(ctx, key)
		return err
	})
	return o, err
}

// Get implements objectstore.Store.
func (s *store) Get(ctx context.Context, key string, limit int64) (body []byte, err error) {
	err = s.repeat(ctx, opGet, func(ctx context.Context) error {
		body, err = s.next.Get(ctx, key, limit)
		return err
	})
	return body, err
}

// GetRange implements objectstore.Store.
func (s *store) GetRange(ctx context.Context, key string, offset, n int64) (part []byte, size int64, err error) {
	err = s.repeat(ctx, opGet, func(ctx context.Context) error {
		part, size, err = s.next.GetRange(ctx, key, offset, n)
		return err
	})
	return part, size, err
}

// Put implements objectstore.Store.
func (s *store) Put(ctx context.Context, key string, body []byte, sum objectstore.Sum) error {
	return s.repeat(ctx, opPut, func(ctx context.Context) error { return s.next.Put(ctx, key, body, sum) })
}

func (s *store) repeat(ctx context.Context, op string, call func(context.Context) error) error {
	for failures := 1; ; failures++ {
		err := s.try(ctx, call)
		if err == nil {
			return nil
		}
		if err := s.retrier.pause(ctx, op, failures, err); err != nil {
			return err
		}
	}
}

func (s *store) try(ctx context.Context, call func(context.Context) error) error {
	if s.retrier.policy.Timeout <= 0 {
		return call(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.retrier.policy.Timeout)
	defer cancel()
	return call(ctx)
}

// pause waits before the next try, or returns the error to end with: the cause
// if it is permanent or the tries are used up, that of the context if it ended.
func (r *Retrier) pause(ctx context.Context, op string, failures int, cause error) error {
	switch {
	case objectstore.Permanent(cause):
		return cause
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	case failures >= r.policy.Attempts:
		return fmt.Errorf("after %d tries: %w", failures, cause)
	}
	r.retries.WithLabelValues(op).Inc()
	if err := r.policy.Sleep(ctx, r.policy.delay(failures)); err != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return nil
}

// delay returns how long to wait after so many failures, with full jitter: calls that failed
// together must not be retried together.
func (p Policy) delay(failures int) time.Duration {
	return p.Jitter(max(1, pause.Bound(p.Base, p.Max, failures)))
}
