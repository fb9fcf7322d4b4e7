package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// survey is what the work queue held of all imports, with the number of the survey. A
// change to the queue shows in the surveys that began after it, which have higher numbers
// than the one that had begun last.
type survey struct {
	backend.Survey
	number uint64
}

// fleetWatch watches the work queue by surveys, and listens to workers. Its methods and
// fields may be used concurrently.
type fleetWatch struct {
	backend  *backend.Backend
	now      func() time.Time
	log      *slog.Logger
	surveyed func(backend.Survey) // called after each survey
	metrics  watchMetrics

	last     atomic.Pointer[survey] // nil before the first
	begun    atomic.Uint64          // surveys, the number of the one that began last
	workers  workerPresence
	problems problemReports
}

type watchMetrics struct {
	partitions  *prometheus.GaugeVec // by state
	redelivered prometheus.Gauge
	waiting     prometheus.Gauge
	covers      prometheus.Gauge
}

func newFleetWatch(cfg Config, surveyed func(backend.Survey)) *fleetWatch {
	f := metric.With(cfg.Registerer).In("fleet")
	return &fleetWatch{backend: cfg.Backend, now: cfg.Now, log: cfg.Log, surveyed: surveyed, metrics: watchMetrics{
		partitions: f.GaugeVec("partitions", "Partitions in the work queue: queued ones, and running ones, which a worker has.",
			metric.By("state", "queued", "running")),
		redelivered: f.Gauge("partitions_redelivered", "Running partitions that were delivered before."),
		waiting:     f.Gauge("workers_waiting", "Workers that wait for a partition."),
		covers:      f.Gauge("covers", "Covers that are stored."),
	}}
}

// run listens to workers and takes surveys until ctx ends.
func (w *fleetWatch) run(ctx context.Context) {
	if err := errors.Join(w.workers.listen(ctx, w.backend), w.backend.Gossip.ListenProblems(ctx, w.noteProblem)); err != nil && ctx.Err() == nil {
		w.log.Warn("listen to workers", "err", err)
	}
	for ctx.Err() == nil {
		rest := checkEvery
		if err := w.survey(ctx); err == nil {
			rest = pause.After(w.last.Load().Took, checkEvery)
		} else if ctx.Err() == nil {
			w.log.Warn("survey the queue", "err", err)
			w.restore(ctx, err)
		}
		_ = pause.For(ctx, rest) // the loop looks at ctx
	}
}

// survey takes one survey.
func (w *fleetWatch) survey(ctx context.Context) error {
	number := w.begun.Add(1)
	seen, err := w.backend.Survey(ctx)
	if err != nil {
		return err
	}
	w.last.Store(&survey{seen, number})
	w.workers.note(seen.Survey, w.now())
	w.show(seen)
	w.surveyed(seen)
	return nil
}

// restore makes streams anew that a survey has missed. The partitions and covers that
// were in them become gaps.
func (w *fleetWatch) restore(ctx context.Context, missed error) {
	if !errors.Is(missed, natsconn.ErrMissing) {
		return
	}
	if err := w.backend.Restore(ctx); err != nil {
		w.log.Warn("restore the queue", "err", err)
		return
	}
	w.log.Warn("the queue was restored")
}

func (w *fleetWatch) show(seen backend.Survey) {
	m := &w.metrics
	m.partitions.WithLabelValues("queued").Set(float64(seen.Queued))
	m.partitions.WithLabelValues("running").Set(float64(seen.Running))
	m.redelivered.Set(float64(seen.Redelivered))
	m.waiting.Set(float64(seen.Waiting))
	var stored uint64
	for _, n := range seen.Covers {
		stored += n
	}
	m.covers.Set(float64(stored))
}

// problem returns what keeps an import from getting on, as far as the last survey and
// the workers' reports tell; "" is nothing.
func (w *fleetWatch) problem(id string) string {
	seen, now := w.last.Load(), w.now()
	switch {
	case seen == nil:
		return ""
	case len(seen.Partitions[id]) > 0 && w.workers.missing(now):
		return noWorkers
	}
	return w.problems.current(id, seen.Partitions[id], now)
}

func (w *fleetWatch) noteProblem(p gossip.Problem) { w.problems.note(p, w.now()) }
