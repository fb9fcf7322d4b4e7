// Package worker turns partitions into ranges: it takes a partition from the
// work queue, lists its span, writes the ranges that the partition owns, and
// publishes a cover after each range that is safely stored.
//
//	queue ──partition──▶ list ──batches──▶ range writer ──files──▶ namespace
//	  ▲                                         │
//	  └──────────────── covers ─────────────────┘
//
// A worker keeps nothing of its own. Whatever it had not covered when it died,
// somebody lists again; what it does twice, it does with the same result.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// Opener opens the store that a URI lives in.
type Opener interface {
	Open(ctx context.Context, u objectstore.URI) (objectstore.Store, error)
}

// Config is what a worker works with. All fields are required.
type Config struct {
	Queue      *queue.Queue
	Imports    *imports.Store
	Stores     Opener
	Slots      int // partitions at a time, at least 1
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Limits of a worker. They bound its memory and how long it holds on.
const (
	uploads       = 2                      // ranges in flight a partition
	maxDeliveries = 20                     // after so many the import fails with the last error
	maxBackoff    = 30 * time.Second       // between two deliveries of a partition that met a fault
	goodbye       = 5 * time.Second        // for the last calls of a worker that is stopping
	pullAgain     = time.Second            // after an error of the queue, which tries again by itself what can pass
	watchEvery    = 500 * time.Millisecond // looks at the import's state, beside what the watch tells
	hungerEvery   = time.Second            // asks whether others wait for work
)

// Worker works on partitions. See Run.
type Worker struct {
	cfg     Config
	metrics *metrics
	buffers rangewriter.Buffers // of all partitions
}

// New returns a worker.
func New(cfg Config) *Worker {
	return &Worker{cfg: cfg, metrics: newMetrics(cfg.Registerer)}
}

// Run works on Slots partitions at a time until ctx ends, then gives those that
// are not finished back to the queue and returns.
func (w *Worker) Run(ctx context.Context) {
	var slots sync.WaitGroup
	for range w.cfg.Slots {
		slots.Go(func() { w.slot(ctx) })
	}
	slots.Wait()
}

func (w *Worker) slot(ctx context.Context) {
	for ctx.Err() == nil {
		task, err := w.cfg.Queue.Pull(ctx)
		if err != nil {
			if ctx.Err() == nil {
				w.cfg.Log.Warn("pull a partition", "err", err)
				wait(ctx, pullAgain)
			}
			continue
		}
		w.metrics.running.Inc()
		w.settle(ctx, task, w.work(ctx, task))
		w.metrics.running.Dec()
	}
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Outcomes of a delivery that are no faults of a store.
var (
	errOver = errors.New("the import has ended")
	errLost = errors.New("no heartbeat was confirmed: somebody else has the partition by now")
)

// settle tells the queue, and where the import cannot go on the import, how a
// delivery ended. Its calls outlive ctx for a moment, so that a worker that is
// told to stop gives its partitions back at once.
func (w *Worker) settle(ctx context.Context, task *queue.Task, outcome error) {
	log := w.cfg.Log.With("import_id", task.Partition.ImportID, "partition", task.Partition.ID)
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	var err error
	switch {
	case outcome == nil:
		w.metrics.done("done")
		err = task.Ack(ctx)
	case errors.Is(outcome, errOver):
		w.metrics.done("over")
		err = task.Ack(ctx)
	case errors.Is(outcome, errLost):
		w.metrics.done("lost")
	case stopping:
		w.metrics.done("handed_back")
		err = task.Nak(ctx, 0)
	case objectstore.Permanent(outcome) || task.Deliveries >= maxDeliveries:
		w.metrics.done("failed")
		log.Error("import fails", "span", task.Partition.String(), "deliveries", task.Deliveries, "err", outcome)
		if err = w.fail(ctx, task.Partition.ImportID, outcome); err == nil {
			err = task.Ack(ctx)
		}
	default:
		w.metrics.done("retried")
		delay := min(maxBackoff, time.Second<<min(task.Deliveries-1, 10))
		log.Warn("partition is tried again", "delay", delay, "deliveries", task.Deliveries, "err", outcome)
		err = task.Nak(ctx, delay)
	}
	if err != nil {
		// The queue delivers the partition again after its ack wait.
		log.Warn("settle a partition", "outcome", outcome, "err", err)
	}
}

// fail ends the import with the error of a partition. One that is committing
// does not need the partition any more.
func (w *Worker) fail(ctx context.Context, id string, cause error) error {
	_, err := w.cfg.Imports.Apply(ctx, id, func(r imports.Record) (imports.Record, error) {
		return r.Fail(time.Now().UTC(), cause.Error(), r.Objects)
	})
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}
