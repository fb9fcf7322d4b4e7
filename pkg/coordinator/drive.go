package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/table"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

const (
	retryAfter  = time.Second      // first pause after an error; it doubles
	maxRetry    = 30 * time.Second // longest pause after errors
	goodbye     = 2 * time.Second  // for the last calls about an import that ended as the process was told to stop
	maxFailures = 20               // how often a step is tried that has not touched the branch yet
)

// driver drives one import. It is for one goroutine.
type driver struct {
	imp      *importHandle
	session  string // of this coordinator
	progress *follow.Progress
	planner  *planner
	gaps     *gapCloser
	lander   *lander

	backend *backend.Backend
	watch   *fleetWatch
	cleanup *cleanup
	drivers *drivers

	failures int           // errors in a row
	last     reached       // when it looked last
	trace    tracing.Place // of the import, when it looked last
}

// reached is how far an import has come, as far as a change of it shows that it gets further.
type reached struct {
	state  imports.State
	listed bool // all keys are covered
	covers uint64
}

// importHandle is one import, as all parts of its driver see it. Its fields do not change.
type importHandle struct {
	id      string
	beat    *beat
	store   *imports.Store
	metrics *metrics
	ages    *ages
	tracer  trace.Tracer
	now     func() time.Time
	log     *slog.Logger // has the ID
}

func (h *importHandle) record(ctx context.Context) (imports.Record, error) {
	return h.store.Get(ctx, h.id)
}

func (h *importHandle) apply(ctx context.Context, transition func(imports.Record) (imports.Record, error)) (imports.Record, error) {
	return h.store.Apply(ctx, h.id, transition)
}

// traced runs a step in a span of the import's trace, which is that of ctx. A step that succeeds
// has brought the import further.
func (h *importHandle) traced(ctx context.Context, name string, step func() error, opts ...trace.SpanStartOption) error {
	err := tracing.Step(ctx, h.tracer, name, step, append(opts, tracing.With(tracing.ImportID.String(h.id)))...)
	if err == nil {
		h.ages.further(h.id)
	}
	return err
}

// waits notes that the import waits for its turn, until goOn is called.
func (h *importHandle) waits() (goOn func()) {
	h.ages.waits(h.id)
	return func() { h.ages.goesOn(h.id) }
}

// counted returns the ranges of the import's tree. Each one that is yielded is counted, and has
// brought the import further.
func (h *importHandle) counted(ranges metarange.Ranges) metarange.Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		for r, err := range ranges {
			if err == nil {
				h.beat.ranges.Add(1)
				h.ages.further(h.id)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// report shows in the import's status why it does not get on; "" is that it does.
func (h *importHandle) report(ctx context.Context, problem string) {
	_, err := h.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Report(problem) })
	if err != nil {
		h.log.DebugContext(ctx, "report the problem of an import", "err", err)
	}
}

// run drives the import until it has ended, another coordinator drives it, or ctx ends.
// Errors on the way are tried again, up to maxFailures times in a row.
func (d *driver) run(ctx context.Context) error {
	for ctx.Err() == nil {
		ended, err := d.step(ctx)
		if ended {
			return err
		}
		rest := d.progress.Rest()
		switch {
		case err == nil:
			d.failures = 0
		case ctx.Err() == nil:
			rest = d.noteError(d.trace.In(ctx), err)
		}
		d.rest(ctx, rest)
	}
	return nil
}

// noteError counts and reports an error, and returns after how long to try again. What will
// pass does not count: a full queue empties as other imports get on, and what a process of
// another version wrote can be read once all processes are of one version.
func (d *driver) noteError(ctx context.Context, err error) time.Duration {
	after := pause.Bound(retryAfter, maxRetry, d.failures+1)
	if d.backend.Conn.Err() == nil { // while NATS is away nothing can be decided
		if !errors.Is(err, queue.ErrFull) && !errors.Is(err, natsconn.ErrProtocol) {
			d.failures++
		}
		d.imp.report(ctx, err.Error())
	}
	d.imp.metrics.retries.Inc()
	d.imp.beat.retries.Add(1)
	d.imp.log.WarnContext(ctx, "import meets an error", "failures", d.failures, "retry_after", after, "err", err)
	return after
}

// rest waits at least for the given time, and then for new covers of the import.
func (d *driver) rest(ctx context.Context, least time.Duration) {
	_ = pause.For(ctx, least) // whose end shows below
	select {
	case <-ctx.Done():
	case <-d.progress.Changed():
	case <-time.After(checkEvery):
	}
}

// step brings the import as far as it gets now. It reports that the import has ended for
// this driver, also when another coordinator drives it.
func (d *driver) step(ctx context.Context) (ended bool, err error) {
	record, err := d.imp.record(ctx)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) { // the supervisor reports a broken one
		return true, nil
	}
	if err != nil {
		return false, err
	}
	d.drivers.note(d.imp.id, record.State)
	d.imp.beat.busy.Store(record.State == imports.Committing || record.Partitions == nil)
	d.trace = record.Trace
	ctx = d.trace.In(ctx)
	switch {
	case record.State.Ended():
		return true, d.end(ctx, record)
	case record.Driver != d.session:
		d.imp.log.InfoContext(ctx, "import is driven by another coordinator", "driver", record.Driver)
		return true, nil
	}
	if ended, err = d.further(ctx, record); ended {
		ctx, cancel := lingering(ctx)
		defer cancel()
		return d.step(ctx) // which clears up
	}
	if problem := d.watch.problem(d.imp.id); err == nil && problem != record.Problem {
		d.imp.report(ctx, problem)
	}
	return false, err
}

// lingering returns a context that goes on for a moment after ctx has ended. An import that ended as
// the process was told to stop is counted, logged and traced by nobody else.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	lingers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		_ = pause.For(lingers, goodbye) // it ends early if nobody needs it any more
		cancel()
	})
	return lingers, cancel
}

// further plans or advances the import, and gives it up if trying again cannot help. It reports
// whether that has ended the import.
func (d *driver) further(ctx context.Context, record imports.Record) (ended bool, err error) {
	if record.State == imports.Running && record.Partitions == nil {
		err = d.imp.traced(ctx, "plan", func() error { return d.planner.plan(ctx, record) })
	} else {
		ended, err = d.advance(ctx, record)
	}
	if err != nil && ctx.Err() == nil && (hopeless(err) || d.failures >= maxFailures) {
		return d.lander.abandon(ctx, err)
	}
	return ended, err
}

// advance folds the covers, commits once they chain, and queues gaps that no partition
// will cover. It reports whether that has ended the import.
func (d *driver) advance(ctx context.Context, record imports.Record) (ended bool, err error) {
	if record.State == imports.Committing {
		return d.lander.land(ctx)
	}
	fold, covers := d.progress.Fold()
	d.note(ctx, record, fold.Complete(), covers)
	if !fold.Complete() {
		if err := d.progress.Err(); err != nil {
			return false, err // covers that are missing may be stored
		}
		return false, d.gaps.close(ctx)
	}
	final, err := d.gaps.endIsFinal(ctx, fold, covers)
	if err != nil || !final {
		return false, err
	}
	if err := vanished(record, fold.Objects); err != nil {
		return false, err
	}
	d.imp.beat.busy.Store(true)
	if record.Request.DryRun {
		return d.lander.preview(ctx, record, fold)
	}
	return d.lander.land(ctx)
}

// note notes how far the import has come, and measures how long its keys took once all are covered.
func (d *driver) note(ctx context.Context, record imports.Record, listed bool, covers uint64) {
	now := reached{record.State, listed, max(covers, d.last.covers)} // covers are read again after errors
	if now == d.last {
		return
	}
	if listed && !d.last.listed {
		took := d.imp.now().Sub(record.Updated).Seconds()
		metric.Observe(d.imp.metrics.stepTime.WithLabelValues(stepList), took, tracing.ID(ctx))
		d.imp.log.InfoContext(ctx, "import listed", "covers", covers, "duration_seconds", took)
	}
	d.last = now
	d.imp.ages.further(d.imp.id)
}

// hopeless reports whether trying again cannot help.
func hopeless(err error) bool {
	var lost inconsistent
	var empty emptyPaths
	return errors.As(err, new(revoked)) || errors.As(err, &lost) || errors.As(err, &empty) || objectstore.Permanent(err) || fault.Is(err, fault.NotFound) ||
		errors.Is(err, table.ErrCorrupt) || errors.Is(err, imports.ErrDeadly)
}

// end counts and logs the end of the import, and clears up after it.
func (d *driver) end(ctx context.Context, record imports.Record) error {
	d.imp.metrics.ended(record, d.imp.now())
	d.logEnd(ctx, record)
	d.traceEnd(ctx, record)
	d.lander.to.clear(ctx, record)
	return errors.Join(d.backend.Discard(ctx, d.imp.id), d.count(ctx, record), d.cleanup.retire(ctx, record))
}

// logEnd logs how the import ended: at the level of an error if it failed.
func (d *driver) logEnd(ctx context.Context, record imports.Record) {
	level, attrs := slog.LevelInfo, []any{
		"state", record.State, "objects", record.Objects,
		"duration_seconds", record.Updated.Sub(record.Created).Seconds(),
	}
	if c := record.Changes; c != nil {
		attrs = append(attrs, "added", c.Added, "replaced", c.Replaced, "removed", c.Removed, "unchanged", c.Unchanged)
	}
	if record.State == imports.Failed {
		level = slog.LevelError
	}
	if record.Error != "" {
		attrs = append(attrs, "err", record.Error)
	}
	d.imp.log.Log(ctx, level, "import ended", attrs...)
}

// traceEnd makes the span of the whole import, from its request to its end.
func (d *driver) traceEnd(ctx context.Context, record imports.Record) {
	attrs := []attribute.KeyValue{
		tracing.ImportID.String(d.imp.id), tracing.Repository.String(record.Request.Repository), tracing.Branch.String(record.Request.Branch),
		tracing.State.String(string(record.State)), tracing.Keys.Int64(record.Objects),
	}
	if a := record.Attempt; a != nil && record.State == imports.Completed {
		attrs = append(attrs, tracing.Ranges.Int(a.Ranges), tracing.MetarangeID.String(a.MetarangeID), tracing.CommitID.String(a.CommitID))
	}
	var err error
	if record.State == imports.Failed {
		err = errors.New(record.Error)
	}
	tracing.Past(ctx, d.imp.tracer, "import", record.Created, record.Updated, err, tracing.With(attrs...))
}

// count makes the record of an import that a worker or another coordinator has ended
// show no fewer objects than its status did.
func (d *driver) count(ctx context.Context, record imports.Record) error {
	objects, _ := d.progress.Covered()
	if objects <= record.Objects || record.State == imports.Completed {
		return nil
	}
	_, err := d.imp.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Count(objects) })
	return err
}
