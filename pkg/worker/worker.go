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

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// Config is what a worker works with. All fields without a default are required.
type Config struct {
	Queue      *queue.Queue
	Imports    *imports.Store
	Stores     objectstore.Opener
	Busy       func() bool   // whether most of the LIST calls that may be in flight are; default never
	Slots      int           // partitions at a time that may take long, at least 1
	Grace      time.Duration // for how long a worker that is told to stop goes on to the ends of its ranges; default DefaultGrace
	Slice      time.Duration // after so long a partition gives way to waiting ones of other imports; default DefaultSlice
	Stall      time.Duration // after so long in which a store lets it get no further a partition gives way to waiting ones; default DefaultSlice
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Defaults of Config. Grace and what a worker may take to hand back its
// partitions after it are 9 s together.
const (
	DefaultGrace = 6 * time.Second
	DefaultSlice = 5 * time.Second
)

// Limits of a worker. They bound its memory and how long it holds on.
const (
	expressSlots = 4                // of partitions of about one page, besides the others
	cutPart      = 2                // half of the mean distance of anchors is listed between two cuts
	uploads      = 2                // ranges in flight a partition
	maxTries     = 20               // deliveries in a row that got no further; then the import fails with the last error
	maxDeaths    = 40               // the same where none of them could say why; workers die for other reasons too
	maxRefusals  = 6                // of a store to one worker in a row, 1, 2, 4, 8 and 16 s apart; then nobody else is there
	maxBackoff   = 30 * time.Second // between two deliveries of a partition that met a fault
	goodbye      = 3 * time.Second  // for the last calls about a partition
	pullAgain    = time.Second      // after an error of the queue, which tries again by itself what can pass
	refusedPause = 5 * time.Second  // before a fleet of another version is looked at again
)

// Worker works on partitions. See Run. Its methods may be called concurrently.
type Worker struct {
	cfg      Config
	name     string // among all workers
	metrics  *metrics
	buffers  rangewriter.Buffers // of all partitions
	outlook  *queue.Outlook      // nil before Run
	offers   offers              // of all processes
	slots    []*slot
	refusals refusals
	stalls   stalls
	turn     chan struct{} // held by the slot of bulk that asks for a partition
	busy     atomic.Int64  // slots that have a partition
	rate     atomic.Int64  // keys a second of the partition that was listed last
	health   health
	now      func() time.Time
	chance   func() float64 // in [0, 1)
	stuck    time.Duration  // see stuck
}

// New returns a worker.
func New(cfg Config) *Worker {
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	cfg.Slice = cmp.Or(cfg.Slice, DefaultSlice)
	cfg.Stall = cmp.Or(cfg.Stall, DefaultSlice)
	if cfg.Busy == nil {
		cfg.Busy = func() bool { return false }
	}
	w := &Worker{
		cfg: cfg, name: xid.New().String(), metrics: newMetrics(cfg.Registerer), now: time.Now, chance: rand.Float64, stuck: stuck,
		turn: make(chan struct{}, 1),
	}
	w.offers.now = func() time.Time { return w.now() }
	for range cfg.Slots {
		w.addSlot(queue.Bulk)
	}
	for range expressSlots {
		w.addSlot(queue.Express)
	}
	return w
}

// Run works on partitions until ctx ends. Then it takes no more, goes on for
// Grace to the next end of a range of each that it has, gives what is left of
// them to others and returns. It is called once.
func (w *Worker) Run(ctx context.Context) {
	w.health.run()
	defer w.health.stop()
	work, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	var err error
	if w.outlook, err = w.cfg.Queue.Outlook(work, func() bool { return w.busy.Load() > 0 }); err != nil {
		w.cfg.Log.Error("hear of the fleet", "err", err) // the connection is closed
		return
	}
	for topic, hear := range map[string]func([]byte){topicLeft: w.offers.hear, topicRefused: w.hearRefusal, topicStalled: w.hearStall} {
		if err := w.cfg.Queue.Hear(work, topic, hear); err != nil {
			w.cfg.Log.Error("hear of the fleet", "err", err)
			return
		}
	}
	context.AfterFunc(ctx, func() {
		w.health.stop()
		_ = pause.For(work, w.cfg.Grace)
		end(errLeaving)
	})
	var slots sync.WaitGroup
	for _, s := range w.slots {
		slots.Go(func() { w.run(ctx, work, s) })
	}
	slots.Wait()
}

// run works with one slot until leave ends, on each partition until work does.
func (w *Worker) run(leave, work context.Context, s *slot) {
	for leave.Err() == nil {
		task, err := w.ask(leave, s)
		if err != nil {
			w.complain(leave, err)
			continue
		}
		w.metrics.running.Inc()
		w.busy.Add(1)
		d := newDelivery(leave, w, s, task)
		d.hear()
		outcome := d.work(work)
		d.settle(work, outcome)
		s.free(w.now())
		w.busy.Add(-1)
		w.metrics.running.Dec()
		if errors.Is(outcome, queue.ErrProtocol) {
			w.complain(leave, outcome)
		}
	}
}

// complain notes that no partition can be pulled, and waits.
func (w *Worker) complain(leave context.Context, err error) {
	if leave.Err() != nil {
		return
	}
	if errors.Is(err, queue.ErrProtocol) {
		w.health.agree(err)
		w.cfg.Log.Error("no partitions are taken", "err", err)
		_ = pause.For(leave, refusedPause)
		w.health.agree(nil) // until it is refused again
		return
	}
	w.cfg.Log.Warn("pull a partition", "err", err)
	_ = pause.For(leave, pullAgain)
}
