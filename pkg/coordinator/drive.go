package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// maxFailures bounds how often a step of an import is tried that has not touched the
// branch yet.
const maxFailures = 20

// driver drives one import. It is for one goroutine.
type driver struct {
	*Service
	id        string
	progress  *progress
	listings  map[string]int                 // how often a gap was published, by its After
	parts     map[string]partition.Partition // that were queued or running, by ID
	surveyed  uint64                         // the queue was changed after this survey began
	settledBy uint64                         // number of covers by which the end was settled last; 0 if it never was
	quiet     quiet                          // since the last cover came
	failures  int                            // errors in a row
	survived  bool                           // a step that it began: what the record says of those is over
	problem   string                         // what the record has for them
	dead      *imports.Attempt               // an attempt that never lands; see landNow
	over      bool                           // the last step ended the import, which the next one takes note of
}

// newDriver returns a driver of the import; nil if it has ended, or the service
// has stopped.
func (s *Service) newDriver(id string) *driver {
	p := s.follow(id)
	if p == nil {
		return nil
	}
	return &driver{
		Service: s, id: id, progress: p, surveyed: s.surveys.Load(),
		listings: make(map[string]int), parts: make(map[string]partition.Partition),
	}
}

// drive drives an import until it has ended, somebody else drives it, or ctx
// ends. Errors on the way are tried again, up to maxFailures times in a row.
func (s *Service) drive(ctx context.Context, id string) error {
	s.metrics.driving.Inc()
	defer s.metrics.driving.Dec()
	d := s.newDriver(id)
	if d == nil {
		return nil
	}
	for ctx.Err() == nil {
		ended, err := d.step(ctx)
		if ended {
			return err
		}
		rest := d.progress.rest()
		if err != nil {
			rest = d.noteError(ctx, err)
		} else {
			d.failures = 0
			if waits := d.waits(); waits != d.problem {
				d.tell(ctx, waits)
			}
		}
		if d.over {
			d.over = false
			continue
		}
		d.rest(ctx, rest)
	}
	return nil
}

// noteError takes note of an error, and returns after how long to try again.
func (d *driver) noteError(ctx context.Context, err error) time.Duration {
	after := pause.Bound(retryAfter, maxRetry, d.failures+1)
	if ctx.Err() != nil {
		return after
	}
	if d.cfg.Queue.Err() == nil { // while NATS is away nothing can be decided
		if !outside(err) {
			d.failures++
		}
		d.tell(ctx, err.Error())
	}
	d.metrics.retries.Inc()
	d.cfg.Log.Warn("import meets an error", "import_id", d.id, "failures", d.failures, "retry_after", after, "err", err)
	return after
}

// outside reports whether an error does not count against the import: a full queue
// empties as others get their work done, and what another version wrote can be read
// once all processes are of one.
func outside(err error) bool {
	return errors.Is(err, queue.ErrFull) || errors.Is(err, queue.ErrProtocol)
}

// tell shows in the import's status why it does not get on.
func (d *driver) tell(ctx context.Context, problem string) {
	record, err := d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) { return r.Report(problem) })
	if err != nil {
		d.cfg.Log.Debug("tell of an import's problem", "import_id", d.id, "err", err)
		return
	}
	d.problem = record.Problem
}

// waits returns what keeps the import from getting on though no step of it erred;
// "" is nothing.
func (d *driver) waits() string {
	seen, now := d.survey.Load(), d.cfg.Now()
	switch {
	case seen == nil:
		return ""
	case len(seen.Partitions[d.id]) > 0 && d.attendance.missed(now):
		return unattended
	}
	return d.progress.hindered(seen.Partitions[d.id], now)
}

// rest waits for so long at least, then for news of the import.
func (d *driver) rest(ctx context.Context, least time.Duration) {
	_ = pause.For(ctx, least) // whose end shows below
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.progress.changed:
	case <-timer.C:
	}
}

// step brings the import as far as it gets now. It has ended, for this driver,
// also when somebody else drives it.
func (d *driver) step(ctx context.Context) (ended bool, err error) {
	record, err := d.cfg.Imports.Get(ctx, d.id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) { // which scan tells of
		return true, nil
	}
	if err != nil {
		return false, err
	}
	d.problem = record.Problem
	d.progress.reach(record.State)
	switch {
	case record.State.Ended():
		return true, d.end(ctx, record)
	case record.Driver != d.session:
		d.cfg.Log.Info("import is driven by another coordinator", "import_id", d.id, "driver", record.Driver)
		return true, nil
	case record.State == imports.Running && record.Partitions == nil:
		err = d.plan(ctx, record)
	default:
		err = d.advance(ctx, record)
	}
	if err != nil && ctx.Err() == nil && (hopeless(err) || d.failures >= maxFailures) {
		return false, d.fail(ctx, err)
	}
	return false, err
}

// advance folds the covers, commits once they chain, and queues the gaps that
// nobody works on.
func (d *driver) advance(ctx context.Context, record imports.Record) error {
	fold, covers := d.progress.fold()
	if record.State == imports.Committing {
		return d.land(ctx)
	}
	if fold.Complete() {
		settled, err := d.settled(ctx, record, fold, covers)
		if err != nil || !settled {
			return err
		}
		if err := vanished(record, fold.Objects); err != nil {
			return err
		}
		if record.Request.DryRun {
			return d.preview(ctx, record, fold)
		}
		return d.land(ctx)
	}
	if err := d.progress.following(); err != nil {
		return err // what is missing may be there
	}
	if err := d.closeGaps(ctx, record); err != nil {
		return err
	}
	return d.freeIfQuiet(ctx)
}

// hopeless reports whether trying again cannot help.
func hopeless(err error) bool {
	var lost inconsistent
	var empty emptyPaths
	return errors.As(err, &lost) || errors.As(err, &empty) || objectstore.Permanent(err) || fault.Is(err, fault.NotFound) ||
		errors.Is(err, table.ErrCorrupt) || errors.Is(err, imports.ErrDeadly)
}

// end clears up after an import.
func (d *driver) end(ctx context.Context, record imports.Record) error {
	d.metrics.ended(record, d.cfg.Now())
	d.logEnd(ctx, record)
	return errors.Join(d.cfg.Queue.Discard(ctx, d.id), d.count(ctx, record), d.retire(ctx, record))
}

// logEnd logs how an import ended: as an error if it failed.
func (d *driver) logEnd(ctx context.Context, record imports.Record) {
	level, attrs := slog.LevelInfo, []any{
		"import_id", d.id, "state", record.State, "objects", record.Objects,
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
	d.cfg.Log.Log(ctx, level, "import ended", attrs...)
}

// count makes what the record tells of an import that was ended by somebody
// else, a worker or another coordinator, no less than its status told before.
func (d *driver) count(ctx context.Context, record imports.Record) error {
	objects, _ := d.progress.covered()
	if objects <= record.Objects || record.State == imports.Completed {
		return nil
	}
	_, err := d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) { return r.Count(objects) })
	return err
}

// fail ends the import because of the cause. One that is committing fails only if
// the attempt in its record is dead: else that may have landed, which only
// another try can tell.
func (d *driver) fail(ctx context.Context, cause error) error {
	objects, _ := d.progress.covered()
	_, err := d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Abandon(d.cfg.Now().UTC(), d.dead, cause.Error(), objects)
	})
	if fault.Is(err, fault.Conflict) {
		return cause
	}
	d.over = err == nil
	return err
}
