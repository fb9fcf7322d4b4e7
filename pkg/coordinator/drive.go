package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// maxListings bounds how often a stretch of keys is listed again because its
// covers do not chain, and maxFailures how often a step of an import is tried
// that has not touched the branch yet.
const (
	maxListings = 10
	maxFailures = 20
)

// driver drives one import. It is for one goroutine.
type driver struct {
	*Service
	id       string
	progress *progress
	listings map[string]int // how often a gap was published, by its After
	failures int            // errors in a row
	checked  time.Time      // when gaps were last looked for
}

// drive drives an import until it has ended or ctx does. Errors on the way are
// tried again, up to maxFailures times in a row.
func (s *Service) drive(ctx context.Context, id string) error {
	s.metrics.driving.Inc()
	defer s.metrics.driving.Dec()
	d := &driver{Service: s, id: id, progress: s.follow(id), listings: make(map[string]int)}
	if d.progress == nil {
		return nil
	}
	for ctx.Err() == nil {
		ended, err := d.step(ctx)
		if ended {
			return err
		}
		pause := d.progress.rest()
		if err != nil {
			pause = min(retryAfter<<min(d.failures, 10), maxRetry)
			if s.cfg.Queue.Connected() { // while NATS is away nothing can be decided
				d.failures++
			}
			s.metrics.retries.Inc()
			s.cfg.Log.Warn("import meets an error", "import_id", id, "failures", d.failures, "retry_after", pause, "err", err)
		} else {
			d.failures = 0
		}
		d.rest(ctx, pause)
	}
	return nil
}

// rest waits at least for pause, then for news of the import.
func (d *driver) rest(ctx context.Context, pause time.Duration) {
	wait(ctx, pause)
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.progress.changed:
	case <-timer.C:
	}
}

// step brings the import as far as it gets now.
func (d *driver) step(ctx context.Context) (ended bool, err error) {
	record, err := d.cfg.Imports.Get(ctx, d.id)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case record.State.Ended():
		return true, d.end(ctx, record)
	case record.State == imports.Running && record.Partitions == nil:
		err = d.plan(ctx, record)
	default:
		err = d.advance(ctx, record)
	}
	if err != nil && (hopeless(err) || d.failures >= maxFailures) {
		return false, d.fail(ctx, err)
	}
	return false, err
}

// hopeless reports whether trying again cannot help.
func hopeless(err error) bool {
	var lost inconsistent
	return errors.As(err, &lost) || objectstore.Permanent(err) || fault.Is(err, fault.NotFound)
}

// end clears up after an import.
func (d *driver) end(ctx context.Context, record imports.Record) error {
	d.metrics.ended(record, d.cfg.Now())
	log := d.cfg.Log.With("import_id", d.id)
	if record.Error != "" {
		log = log.With("err", record.Error)
	}
	log.Info("import ended", "state", record.State, "objects", record.Objects,
		"duration_seconds", record.Updated.Sub(record.Created).Seconds())
	return errors.Join(d.cfg.Queue.Discard(ctx, d.id), d.count(ctx, record), d.retire(ctx, record))
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

// fail ends the import because of the cause, unless it is committing: then the
// attempt may have landed, which only another try can tell.
func (d *driver) fail(ctx context.Context, cause error) error {
	objects, _ := d.progress.covered()
	_, err := d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Fail(d.cfg.Now().UTC(), cause.Error(), objects)
	})
	if fault.Is(err, fault.Conflict) {
		return cause
	}
	return err
}

// plan makes the first cut, records it, and queues its partitions. Where the
// record is there but a crash kept a partition from the queue, its keys are a
// gap like any other.
func (d *driver) plan(ctx context.Context, record imports.Record) error {
	cuts, err := d.cuts(ctx, record.Job)
	if err != nil {
		return fmt.Errorf("list the first page: %w", err)
	}
	record, err = d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(d.cfg.Now().UTC(), partition.Plan(d.id, cuts))
	})
	if fault.Is(err, fault.Conflict) {
		return nil // it was canceled meanwhile
	}
	if err != nil {
		return err
	}
	d.metrics.planned.Add(float64(len(record.Partitions)))
	d.cfg.Log.Info("import planned", "import_id", d.id, "partitions", len(record.Partitions))
	for _, p := range record.Partitions {
		if err := d.cfg.Queue.Publish(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// cuts lists the first page, and cuts the key space if more follows.
func (d *driver) cuts(ctx context.Context, job imports.Job) ([]string, error) {
	src, err := source.Open(ctx, d.cfg.Stores, job.Paths)
	if err != nil {
		return nil, err
	}
	next, stop := iter.Pull2(src.List(ctx, "", source.Nowhere))
	defer stop()
	page, err, more := next()
	if !more || err != nil {
		return nil, err
	}
	first, last := string(page.Key(0)), string(page.Key(page.Len()-1))
	if _, err, more = next(); !more || err != nil {
		return nil, err
	}
	return partition.Cuts(partition.Span{}, first, last, d.cfg.Partitions-1), nil
}

// advance folds the covers, commits once they chain, and now and then queues
// the gaps that nobody works on.
func (d *driver) advance(ctx context.Context, record imports.Record) error {
	fold, _ := d.progress.fold()
	if fold.Complete() || record.State == imports.Committing {
		return d.land(ctx, record)
	}
	if now := d.cfg.Now(); now.Sub(d.checked) >= checkEvery {
		d.checked = now
		return d.closeGaps(ctx)
	}
	return nil
}

// closeGaps queues each gap that no partition, queued or running, will cover.
// This one rule repairs whatever was lost between two steps of anybody.
//
// A partition leaves the queue after its last cover is stored. So the queue is
// looked at first, and the covers that are stored after that include those of
// every partition that was not seen there.
func (d *driver) closeGaps(ctx context.Context) error {
	outstanding, err := d.cfg.Queue.Outstanding(ctx, d.id)
	if err != nil {
		return err
	}
	stored, err := d.cfg.Queue.CoverCount(ctx, d.id)
	if err != nil {
		return err
	}
	fold, seen := d.progress.fold()
	if seen < stored {
		return nil // the covers are still on their way
	}
	for _, p := range partition.Uncovered(d.id, fold.Gaps, outstanding) {
		if d.listings[p.After]++; d.listings[p.After] > maxListings {
			return inconsistent{p.Span}
		}
		d.cfg.Log.Info("gap queued again", "import_id", d.id, "span", p.Span.String(), "times", d.listings[p.After])
		if err := d.cfg.Queue.Publish(ctx, p); err != nil {
			return err
		}
		d.metrics.gapsClosed.Inc()
	}
	return nil
}

// inconsistent says that the covers of a span do not chain, however often it is
// listed.
type inconsistent struct{ span partition.Span }

func (e inconsistent) Error() string {
	return fmt.Sprintf("the keys in %v were listed %d times and never gave ranges that join their neighbours: "+
		"the source changes faster than it can be listed", e.span, maxListings)
}
