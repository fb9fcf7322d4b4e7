// Package metered decorates an objectstore.Store with Prometheus metrics. Wrapped by retries, it
// measures every try.
package metered

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Meter decorates stores; all of them share its metrics. It is safe for
// concurrent use.
type Meter struct {
	seconds *prometheus.HistogramVec
	listed  prometheus.Counter
	put     prometheus.Counter
}

// Outcomes of a call, as the histogram's label has them.
const (
	outcomeOK         = "ok"
	outcomeNotFound   = "not_found"
	outcomeRefused    = "refused"
	outcomeBadListing = "bad_listing"
	outcomeCanceled   = "canceled"
	outcomeError      = "error"
)

// New returns a Meter with its metrics registered.
func New(reg prometheus.Registerer) *Meter {
	f := metric.With(reg).In("objectstore")
	return &Meter{
		seconds: f.HistogramVec("request_duration_seconds", "Time of one call to an object store; of a listing, of one page.",
			prometheus.ExponentialBuckets(0.001, 2, 18), // 1 ms to 131 s: a LIST may take two minutes
			metric.By("operation", "list", "stat", "get", "put"), metric.By("outcome", outcomeOK, outcomeError)),
		listed: f.Counter("objects_listed_total", "Objects in the pages that object stores listed."),
		put:    f.Counter("put_bytes_total", "Bytes stored in object stores."),
	}
}

// Wrap returns s with metrics.
func (m *Meter) Wrap(s objectstore.Store) objectstore.Store { return &store{meter: m, next: s} }

type store struct {
	meter *Meter
	next  objectstore.Store
}

var _ objectstore.Store = (*store)(nil)

// WrapPager is Wrap for a store that also lists single pages.
func (m *Meter) WrapPager(p objectstore.Pager) objectstore.Pager { return &pager{store{m, p}, p} }

type pager struct {
	store
	pages objectstore.Pager
}

// ListPage implements objectstore.Pager.
func (p *pager) ListPage(ctx context.Context, prefix, after string, take func([]objectstore.Listed)) (more bool, err error) {
	start := time.Now()
	more, err = p.pages.ListPage(ctx, prefix, after, p.meter.counting(take))
	p.meter.observe("list", start, err)
	return more, err
}

// WalkPage implements objectstore.Pager.
func (p *pager) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	start := time.Now()
	next, err = p.pages.WalkPage(ctx, prefix, token, p.meter.counting(take))
	p.meter.observe("list", start, err)
	return next, err
}

// counting returns take, which counts the objects of its pages.
func (m *Meter) counting(take func([]objectstore.Listed)) func([]objectstore.Listed) {
	return func(page []objectstore.Listed) {
		m.listed.Add(float64(len(page)))
		take(page)
	}
}

// List implements objectstore.Store. The consumer's time does not count.
func (s *store) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		start, empty := time.Now(), true
		for page, err := range s.next.List(ctx, prefix, after, opts) {
			empty = false
			s.meter.observe("list", start, err)
			s.meter.listed.Add(float64(len(page)))
			if !yield(page, err) {
				return
			}
			start = time.Now()
		}
		if empty {
			s.meter.observe("list", start, nil)
		}
	}
}

// Stat implements objectstore.Store.
func (s *store) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	start := time.Now()
	o, err := s.next.Stat(ctx, key)
	s.meter.observe("stat", start, err)
	return o, err
}

// Get implements objectstore.Store.
func (s *store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	start := time.Now()
	body, err := s.next.Get(ctx, key, limit)
	s.meter.observe("get", start, err)
	return body, err
}

// GetRange implements objectstore.Store.
func (s *store) GetRange(ctx context.Context, key string, offset, n int64) ([]byte, int64, error) {
	start := time.Now()
	part, size, err := s.next.GetRange(ctx, key, offset, n)
	s.meter.observe("get", start, err)
	return part, size, err
}

// Put implements objectstore.Store.
func (s *store) Put(ctx context.Context, key string, body []byte, sum objectstore.Sum) error {
	start := time.Now()
	err := s.next.Put(ctx, key, body, sum)
	s.meter.observe("put", start, err)
	if err == nil {
		s.meter.put.Add(float64(len(body)))
	}
	return err
}

func (m *Meter) observe(op string, start time.Time, err error) {
	m.seconds.WithLabelValues(op, outcome(err)).Observe(time.Since(start).Seconds())
}

func outcome(err error) string {
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, objectstore.ErrNotFound):
		return outcomeNotFound
	case errors.Is(err, objectstore.ErrRefused), errors.Is(err, objectstore.ErrTooLarge):
		return outcomeRefused
	case errors.Is(err, objectstore.ErrBadListing):
		return outcomeBadListing
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	default:
		return outcomeError
	}
}
