// Package worker runs the workers' side of imports: it pulls partitions from the work
// queue, lists their keys, writes the ranges that they own, and publishes a cover after
// each range that is safely stored.
//
// A worker keeps no state of its own. What it had not covered when it died, another one
// lists again; what is done twice has the same result.
package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"
	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// Config is what a worker is made of. All fields without a default are required.
type Config struct {
	Backend    *backend.Backend
	Imports    *imports.Store
	Stores     Stores
	Roles      roles.Table          // with which Stores reads sources
	Busy       func() bool          // whether most of the LIST calls that may be in flight are; default never
	Slots      int                  // partitions at a time that may take long, at least 1
	Buffers    *rangewriter.Buffers // memory for range files; default one of its own
	Grace      time.Duration        // for how long a worker that is told to stop goes on to the ends of its ranges; default 6 s
	Slice      time.Duration        // after so long a partition gives way to waiting ones of other imports; default 5 s
	Stall      time.Duration        // after so long without an answer of a store a partition gives way to waiting ones; default 5 s
	Traces     trace.TracerProvider // of partitions; default none
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Stores opens sources, and storage namespaces.
type Stores interface {
	objectstore.Opener
	objectstore.SourceOpener
}

// Limits of a worker. They bound its memory and how often it tries.
const (
	expressSlots = 4                // for partitions of about one page, besides the others
	cutPart      = 2                // half of the mean distance of anchors is listed between two cuts
	uploads      = 2                // ranges of a partition that are on their way to the store
	maxTries     = 20               // deliveries in a row that got no further; then the import fails with the last error
	maxDeaths    = 40               // the same if no worker lived to name an error; workers die for other reasons, too
	maxRefusals  = 6                // of a store to one worker in a row, 1, 2, 4, 8 and 16 s apart; then no other worker is there
	maxBackoff   = 30 * time.Second // between two deliveries of a partition that met a fault
	goodbye      = 3 * time.Second  // for the last calls about a partition, after Grace: 9 s together
	pullAgain    = time.Second      // after an error of the queue, which itself repeats calls that may succeed
	refusedPause = 5 * time.Second  // before a fleet of another version is looked at again
)

// Worker lists partitions and writes their ranges. See Run. Its methods may be called
// concurrently.
type Worker struct {
	cfg      Config
	name     string // among all workers
	metrics  *metrics
	tracer   trace.Tracer
	load     *queue.LoadWatch // nil before Run
	now      func() time.Time
	chance   chance
	slots    slots
	turn     chan struct{}         // held by the slot of bulk that may pull
	occupied atomic.Int64          // slots that have a partition
	running  atomic.Bool           // it takes partitions
	refused  atomic.Pointer[error] // why the fleet's queue cannot be used; nil if it can, as far as is known

	// What its deliveries share:
	offers   *offers
	refusals *refusals
	stalls   *storeStalls
	lastRate atomic.Int64 // keys a second of the partition that was listed last
}

// New returns a worker.
func New(cfg Config) *Worker {
	cfg.Grace = cmp.Or(cfg.Grace, 6*time.Second)
	cfg.Slice = cmp.Or(cfg.Slice, 5*time.Second)
	cfg.Stall = cmp.Or(cfg.Stall, 5*time.Second)
	if cfg.Busy == nil {
		cfg.Busy = func() bool { return false }
	}
	if cfg.Buffers == nil {
		cfg.Buffers = new(rangewriter.Buffers)
	}
	w := &Worker{
		cfg: cfg, name: xid.New().String(), metrics: newMetrics(cfg.Registerer), tracer: tracing.Tracer(cfg.Traces),
		now: time.Now, chance: rand.Float64, turn: make(chan struct{}, 1),
	}
	now := func() time.Time { return w.now() } // tests replace it
	w.offers = &offers{now: now}
	w.refusals = &refusals{worker: w.name, now: now, broadcast: w.broadcast}
	w.stalls = &storeStalls{limit: cfg.Stall, now: now, broadcast: w.broadcast, stores: make(map[string]storeStall)}
	for i := range cfg.Slots + expressSlots {
		lane := queue.Bulk
		if i >= cfg.Slots {
			lane = queue.Express
		}
		s := &slot{lane: lane, puller: cfg.Backend.Queue.Puller(lane)}
		s.free(w.now())
		w.slots = append(w.slots, s)
		w.metrics.slots.WithLabelValues(string(lane)).Inc()
	}
	return w
}

// Run works on partitions until ctx ends. Then it takes no more, goes on for
// Grace to the next end of a range of each that it has, gives what is left of
// them to others and returns. It is called once.
func (w *Worker) Run(ctx context.Context) {
	w.running.Store(true)
	defer w.running.Store(false)
	work, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	if err := w.listen(work); err != nil {
		w.cfg.Log.ErrorContext(ctx, "listen to the fleet", "err", err) // the connection is closed
		return
	}
	context.AfterFunc(ctx, func() {
		w.running.Store(false)
		_ = pause.For(work, w.cfg.Grace)
		end(errLeaving)
	})
	var slots sync.WaitGroup
	for _, s := range w.slots {
		slots.Go(func() { w.runSlot(ctx, work, s) })
	}
	slots.Wait()
}

// listen keeps what the worker knows of the fleet up to date until ctx ends.
func (w *Worker) listen(ctx context.Context) (err error) {
	gossip := w.cfg.Backend.Gossip
	if w.load, err = w.cfg.Backend.Queue.WatchLoad(ctx, gossip, func() bool { return w.occupied.Load() > 0 }); err != nil {
		return err
	}
	return errors.Join(
		gossip.Listen(ctx, topicLeft, w.offers.receive),
		gossip.Listen(ctx, topicRefused, w.refusals.receive),
		gossip.Listen(ctx, topicStalled, w.stalls.receive),
	)
}

// broadcast sends a message to all workers, this one included. It may be lost.
func (w *Worker) broadcast(topic string, message any) {
	if err := w.cfg.Backend.Gossip.Broadcast(topic, message); err != nil {
		w.cfg.Log.Debug("broadcast to workers", "topic", topic, "err", err)
	}
}

// runSlot takes partitions for one slot until leave ends, and works on each until
// work ends.
func (w *Worker) runSlot(leave, work context.Context, s *slot) {
	for leave.Err() == nil {
		task, err := w.next(leave, s)
		if err != nil {
			w.pauseAfter(leave, err)
			continue
		}
		busy, begun := w.metrics.busy.WithLabelValues(string(s.lane)), w.now()
		busy.Inc()
		w.occupied.Add(1)
		d := newDelivery(leave, w, s, task)
		ctx := task.Trace.In(work)
		outcome := d.work(ctx)
		d.finish(ctx, outcome)
		s.free(w.now())
		w.occupied.Add(-1)
		busy.Dec()
		metric.Observe(w.metrics.duration, w.now().Sub(begun).Seconds(), task.Trace.ID())
		if errors.Is(outcome, natsconn.ErrProtocol) {
			w.pauseAfter(leave, outcome)
		}
	}
}

// pauseAfter logs why no partition can be pulled, and waits before the next pull.
func (w *Worker) pauseAfter(leave context.Context, err error) {
	if leave.Err() != nil {
		return
	}
	if errors.Is(err, natsconn.ErrProtocol) {
		w.refused.Store(&err)
		w.cfg.Log.ErrorContext(leave, "no partitions are taken", "err", err)
		_ = pause.For(leave, refusedPause)
		w.refused.Store(nil) // until it is refused again
		return
	}
	w.cfg.Log.WarnContext(leave, "pull a partition", "err", err)
	_ = pause.For(leave, pullAgain)
}
