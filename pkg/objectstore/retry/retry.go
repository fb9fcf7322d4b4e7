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

// A call, or a page of a listing, is retried for about half a minute.
const (
	tries      = 10                     // of one call or page
	firstDelay = 500 * time.Millisecond // upper bound of the first delay, which doubles
	maxDelay   = 10 * time.Second       // upper bound of all delays
)

// Retrier decorates stores. It is safe for concurrent use.
type Retrier struct{ retries *prometheus.CounterVec }

// Operations, as the metric's label has them.
const (
	opList = "list"
	opStat = "stat"
	opGet  = "get"
	opPut  = "put"
)

// New returns a Retrier that counts its retries in
// rangefleet_objectstore_retries_total.
func New(reg prometheus.Registerer) *Retrier {
	return &Retrier{metric.With(reg).CounterVec("objectstore_retries_total",
		"Calls to object stores that were tried again after a transient error.", metric.By("operation", opList, opStat, opGet, opPut))}
}

// Wrap returns s with retries.
func (r *Retrier) Wrap(s objectstore.Store) objectstore.Repeater {
	return &store{retrier: r, next: s, repeated: func(error) {}}
}

type store struct {
	retrier  *Retrier
	next     objectstore.Store
	repeated func(cause error)
}

// Telling implements objectstore.Repeater.
func (s *store) Telling(repeated func(cause error)) objectstore.Store {
	return &store{s.retrier, s.next, repeated}
}

// List implements objectstore.Store. A page that was handed over is never handed over again,
// and after it a page has all its tries.
func (s *store) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		after := after
		for failures := 0; ; {
			var failure error
			for page, err := range s.next.List(ctx, prefix, after, opts) {
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
			if err := s.pause(ctx, opList, failures, failure); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// Stat implements objectstore.Store.
func (s *store) Stat(ctx context.Context, key string) (o objectstore.Object, err error) {
	err = s.repeat(ctx, opStat, func() error {
		o, err = s.next.Stat(ctx, key)
		return err
	})
	return o, err
}

// Get implements objectstore.Store.
func (s *store) Get(ctx context.Context, key string, limit int64) (body []byte, err error) {
	err = s.repeat(ctx, opGet, func() error {
		body, err = s.next.Get(ctx, key, limit)
		return err
	})
	return body, err
}

// GetRange implements objectstore.Store.
func (s *store) GetRange(ctx context.Context, key string, offset, n int64) (part []byte, size int64, err error) {
	err = s.repeat(ctx, opGet, func() error {
		part, size, err = s.next.GetRange(ctx, key, offset, n)
		return err
	})
	return part, size, err
}

// Put implements objectstore.Store.
func (s *store) Put(ctx context.Context, key string, body []byte, sum objectstore.Sum) error {
	return s.repeat(ctx, opPut, func() error { return s.next.Put(ctx, key, body, sum) })
}

func (s *store) repeat(ctx context.Context, op string, call func() error) error {
	for failures := 1; ; failures++ {
		err := call()
		if err == nil {
			return nil
		}
		if err := s.pause(ctx, op, failures, err); err != nil {
			return err
		}
	}
}

// pause waits before the next try, or returns the error to end with: the cause
// if it is permanent or the tries are used up, that of the context if it ended.
func (s *store) pause(ctx context.Context, op string, failures int, cause error) error {
	switch {
	case objectstore.Permanent(cause):
		return cause
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	case failures >= tries:
		return fmt.Errorf("after %d tries: %w", failures, cause)
	}
	s.retrier.retries.WithLabelValues(op).Inc()
	s.repeated(cause)
	// With full jitter: calls that failed together must not be retried together.
	if err := pause.For(ctx, rand.N(pause.Bound(firstDelay, maxDelay, failures))); err != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return nil
}
