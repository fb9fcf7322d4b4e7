package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/progress"
	"github.com/rangefleet/rangefleet/pkg/queue"
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
	backend   *backend.Backend
	followers *follow.Followers // are told what workers report of their partitions
	now       func() time.Time
	log       *slog.Logger
	metrics   *metrics

	last  atomic.Pointer[survey] // nil before the first
	begun atomic.Uint64          // surveys, the number of the one that began last

	mu       sync.Mutex
	workers  workerPresence
	problems problemReports
}

// run listens to workers and takes surveys until ctx ends.
func (w *fleetWatch) run(ctx context.Context) {
	if err := w.listen(ctx); err != nil && ctx.Err() == nil {
		w.log.WarnContext(ctx, "listen to workers", "err", err)
	}
	for ctx.Err() == nil {
		rest := checkEvery
		if err := w.survey(ctx); err == nil {
			rest = pause.After(w.last.Load().Took, checkEvery)
		} else if ctx.Err() == nil {
			w.log.WarnContext(ctx, "survey the queue", "err", err)
			if errors.Is(err, natsconn.ErrMissing) {
				w.restore(ctx)
			}
		}
		_ = pause.For(ctx, rest) // the loop looks at ctx
	}
}

func (w *fleetWatch) listen(ctx context.Context) error {
	load, err := w.backend.Queue.WatchLoad(ctx, w.backend.Gossip, func() bool { return false }) // which never asks by itself
	w.mu.Lock()
	w.workers.load = load
	w.mu.Unlock()
	return errors.Join(err, w.backend.Gossip.ListenReports(ctx, w.take), w.backend.Gossip.ListenSteps(ctx, w.followers.TakeStep),
		w.backend.Gossip.ListenProblems(ctx, func(p gossip.Problem) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.problems.note(p, w.now())
		}))
}

// take takes in a report of a worker.
func (w *fleetWatch) take(r progress.Report) {
	if r.State == progress.Again {
		w.metrics.repeated.Inc()
		return
	}
	w.followers.Take(r)
}

func (w *fleetWatch) survey(ctx context.Context) error {
	number, begun := w.begun.Add(1), w.now()
	seen, err := w.backend.Survey(ctx)
	if err != nil {
		return err
	}
	w.last.Store(&survey{seen, number})
	w.show(seen)
	w.followers.Keep(begun, seen.Partitions)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers.note(seen.Survey, w.now())
	w.metrics.sign.Set(metric.Time(w.workers.sign))
	return nil
}

// restore makes streams anew that a survey has missed. The partitions and covers that
// were in them become gaps.
func (w *fleetWatch) restore(ctx context.Context) {
	if err := w.backend.Restore(ctx); err != nil {
		w.log.WarnContext(ctx, "restore the queue", "err", err)
		return
	}
	w.log.WarnContext(ctx, "the queue was restored")
}

func (w *fleetWatch) show(seen backend.Survey) {
	m := w.metrics
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
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case seen == nil:
		return ""
	case len(seen.Partitions[id]) > 0 && w.workers.missing(now):
		return noWorkers
	}
	return w.problems.current(id, seen.Partitions[id], now)
}

// tended returns when the fleet was last seen to get on with the partitions of an import, though
// it may list those of others first; zero if no worker is there, or nothing waits for one.
func (w *fleetWatch) tended(id string) time.Time {
	seen, now := w.last.Load(), w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if seen == nil || len(seen.Partitions[id]) == 0 || w.workers.missing(now) {
		return time.Time{}
	}
	return w.workers.at
}

const (
	// missingAfter is the time without a sign of a worker after which imports report it:
	// longer than it takes to replace a worker, or to elect leaders of NATS.
	missingAfter = 30 * time.Second

	// surveysWithin is more than the longest time between two surveys while NATS answers.
	surveysWithin = 20 * time.Second

	// noWorkers is the problem of an import whose partitions no worker takes.
	noWorkers = "no worker is heard of: start workers, or check that they reach NATS and are of this version"
)

// workerPresence knows when there was the last sign of a worker. Workers that wait for
// partitions ask NATS, and those that work tell each other the load at least every two
// seconds. The zero value does not listen yet.
type workerPresence struct {
	load *queue.LoadWatch // nil before listen
	seq  uint64           // of load, at the last survey
	at   time.Time        // of the last survey; zero before the first
	sign time.Time        // when there was a sign of a worker, or no survey for long
}

// note records whether there was a sign of a worker since the survey before.
func (w *workerPresence) note(seen queue.Survey, now time.Time) {
	sign := seen.Waiting > 0 || now.Sub(w.at) >= surveysWithin // then there may have been one
	if w.load != nil {
		_, seq := w.load.Last()
		sign, w.seq = sign || seq != w.seq, seq
	}
	if w.at = now; sign {
		w.sign = now
	}
}

// missing reports whether there was no sign of a worker for long, though surveys were
// taken all the time.
func (w *workerPresence) missing(now time.Time) bool {
	return w.load != nil && now.Sub(w.at) < surveysWithin && now.Sub(w.sign) >= missingAfter
}

// reportedFor is how long a worker's report of a problem counts: longer than it usually
// takes until the next worker has tried the partition, and reports again.
const reportedFor = 3 * time.Minute

// problemReports are the reports of workers about partitions that make no progress: at most
// one for each import, by its ID.
type problemReports map[string]problemReport

type problemReport struct {
	gossip.Problem
	at time.Time
}

// note records a worker's report. The first partition of an import with a problem
// counts until its problem is over, so that the import's problem does not change with
// each report on one of many partitions.
func (p problemReports) note(report gossip.Problem, now time.Time) {
	maps.DeleteFunc(p, func(_ string, r problemReport) bool { return now.Sub(r.at) >= reportedFor })
	if first, ok := p[report.ImportID]; ok && first.PartitionID != report.PartitionID {
		return
	}
	if report.Text == "" {
		delete(p, report.ImportID)
		return
	}
	p[report.ImportID] = problemReport{report, now}
}

// current returns the problem of an import, if its partition is among those outstanding,
// or "".
func (p problemReports) current(importID string, outstanding []string, now time.Time) string {
	r, ok := p[importID]
	if !ok || now.Sub(r.at) >= reportedFor || !slices.Contains(outstanding, r.PartitionID) {
		return ""
	}
	return r.Text
}
