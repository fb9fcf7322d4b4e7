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
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// Meter decorates stores; all of them share its metrics. It is safe for
// concurrent use.
type Meter struct {
	seconds *prometheus.HistogramVec // by operation
	calls   *prometheus.CounterVec   // by operation and code
	listed  prometheus.Counter
	put     prometheus.Counter
}

// Codes of a call, as the counter's label has them. They are classes, since stores differ in theirs.
const (
	codeOK         = "ok"
	codeNotFound   = "not_found"
	codeRefused    = "refused"
	codeBadListing = "bad_listing"
	codeThrottled  = "throttled"
	codeTimeout    = "timeout"
	codeCanceled   = "canceled"
	codeError      = "error"
)

// New returns a Meter with its metrics registered.
func New(reg prometheus.Registerer) *Meter {
	f, operations := metric.With(reg).In("objectstore"), metric.By("operation", "list", "stat", "get", "put")
	return &Meter{
		seconds: f.HistogramVec("request_duration_seconds", "Time of one call to an object store; of a listing, of one page.",
			metric.Buckets(0.02, 6), operations), // to 20 s
		calls: f.CounterVec("requests_total", "Calls to object stores, by how they ended; of a listing, one for each page.",
			operations, metric.By("code", codeOK, codeThrottled, codeError)),
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
	defer p.meter.observePage(time.Now(), &err)
	return p.pages.ListPage(ctx, prefix, after, p.meter.counting(take))
}

// WalkPage implements objectstore.Pager.
func (p *pager) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	defer p.meter.observePage(time.Now(), &err)
	return p.pages.WalkPage(ctx, prefix, token, p.meter.counting(take))
}

// WrapTrial returns p with metrics: its pages are those of listings.
func (m *Meter) WrapTrial(p trial.Pages) trial.Pages { return &trialPages{m, p} }

type trialPages struct {
	meter *Meter
	next  trial.Pages
}

// ListAfter implements trial.Pages.
func (p *trialPages) ListAfter(ctx context.Context, prefix, after string, keys int, take func([]objectstore.Listed)) (more bool, err error) {
	defer p.meter.observePage(time.Now(), &err)
	return p.next.ListAfter(ctx, prefix, after, keys, p.meter.counting(take))
}

// WalkPage implements trial.Pages.
func (p *trialPages) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	defer p.meter.observePage(time.Now(), &err)
	return p.next.WalkPage(ctx, prefix, token, p.meter.counting(take))
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
			s.meter.observePage(start, &err)
			s.meter.listed.Add(float64(len(page)))
			if !yield(page, err) {
				return
			}
			start = time.Now()
		}
		if empty {
			var none error
			s.meter.observePage(start, &none)
		}
	}
}

// Stat implements objectstore.Store.
func (s *store) Stat(ctx context.Context, key string) (o objectstore.Object, err error) {
	defer s.meter.observe(ctx, "stat", time.Now(), &err)
	return s.next.Stat(ctx, key)
}

// Get implements objectstore.Store.
func (s *store) Get(ctx context.Context, key string, limit int64) (body []byte, err error) {
	defer s.meter.observe(ctx, "get", time.Now(), &err)
	return s.next.Get(ctx, key, limit)
}

// GetRange implements objectstore.Store.
func (s *store) GetRange(ctx context.Context, key string, offset, n int64) (part []byte, size int64, err error) {
	defer s.meter.observe(ctx, "get", time.Now(), &err)
	return s.next.GetRange(ctx, key, offset, n)
}

// Put implements objectstore.Store.
func (s *store) Put(ctx context.Context, key string, body []byte, sum objectstore.Sum) (err error) {
	defer s.meter.observe(ctx, "put", time.Now(), &err)
	if err = s.next.Put(ctx, key, body, sum); err == nil {
		s.meter.put.Add(float64(len(body)))
	}
	return err
}

// observe measures a call that ends now with *err, and names the trace that ctx is in.
func (m *Meter) observe(ctx context.Context, op string, start time.Time, err *error) {
	m.note(op, start, *err, tracing.ID(ctx))
}

// observePage measures a page of a listing that ends now with *err. It names no trace: traces must
// cost listings nothing.
func (m *Meter) observePage(start time.Time, err *error) { m.note("list", start, *err, "") }

func (m *Meter) note(op string, start time.Time, err error, traceID string) {
	metric.Observe(m.seconds.WithLabelValues(op), time.Since(start).Seconds(), traceID)
	m.calls.WithLabelValues(op, code(err)).Inc()
}

func code(err error) string {
	switch {
	case err == nil:
		return codeOK
	case errors.Is(err, objectstore.ErrNotFound):
		return codeNotFound
	case errors.Is(err, objectstore.ErrRefused), errors.Is(err, objectstore.ErrTooLarge):
		return codeRefused
	case errors.Is(err, objectstore.ErrBadListing):
		return codeBadListing
	case errors.Is(err, objectstore.ErrThrottled):
		return codeThrottled
	case errors.Is(err, context.Canceled):
		return codeCanceled
	case isTimeout(err):
		return codeTimeout
	default:
		return codeError
	}
}

func isTimeout(err error) bool {
	timed, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timed.Timeout()
}
