package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// maxListings bounds how often a stretch of keys is listed again because its
// covers do not chain, and maxFailures how often a step of an import is tried
// that has not touched the branch yet.
const (
	maxListings = 10
	maxFailures = 20
	publishers  = 16 // partitions of an import on their way to the queue
)

// driver drives one import. It is for one goroutine.
type driver struct {
	*Service
	id       string
	progress *progress
	listings map[string]int                 // how often a gap was published, by its After
	parts    map[string]partition.Partition // that were queued or running, by ID
	surveyed uint64                         // the queue was changed after this survey began
	failures int                            // errors in a row
	problem  string                         // what the record has for them
	dead     *imports.Attempt               // an attempt that never lands; see land
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
			rest = d.fault(ctx, err)
		} else {
			d.failures = 0
			if waits := d.waits(); waits != d.problem {
				d.tell(ctx, waits)
			}
		}
		d.rest(ctx, rest)
	}
	return nil
}

// fault takes note of an error, and returns after how long to try again.
func (d *driver) fault(ctx context.Context, err error) time.Duration {
	after := pause.Bound(retryAfter, maxRetry, d.failures+1)
	if ctx.Err() != nil {
		return after
	}
	if d.cfg.Queue.Connected() { // while NATS is away nothing can be decided
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
	record, err := d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) { return r.Trouble(problem) })
	if err != nil {
		d.cfg.Log.Debug("tell of an import's problem", "import_id", d.id, "err", err)
		return
	}
	d.problem = record.Problem
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
	if fault.Is(err, fault.NotFound) {
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
	return err
}

// plan makes the first cut, records it, and queues its partitions. Where the
// record is there but a crash kept a partition from the queue, its keys are a
// gap like any other.
func (d *driver) plan(ctx context.Context, record imports.Record) error {
	cuts, small, err := d.cuts(ctx, record.Job)
	if err != nil {
		return err
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
	lane := queue.Bulk
	if small { // as all keys are in the first page
		lane = queue.Express
	}
	return d.publish(ctx, lane, record.Partitions...)
}

// publish queues partitions. Only a survey that begins after that may tell that
// they are not there.
func (d *driver) publish(ctx context.Context, lane queue.Lane, parts ...partition.Partition) error {
	defer func() { d.surveyed = d.surveys.Load() }()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(publishers)
	for i, p := range parts {
		d.parts[p.ID] = p
		queue := func() error { return d.cfg.Queue.PublishTo(ctx, lane, p) }
		if i > 0 {
			g.Go(queue)
		} else if err := queue(); err != nil { // the first keys are listed first
			return err
		}
	}
	return g.Wait()
}

// turn waits for a turn of a step. The caller calls done after it.
func (d *driver) turn(ctx context.Context, step string, limit *limiter, key string) (done func(), err error) {
	waiting := d.metrics.steps.WithLabelValues(step, phaseWaiting)
	waiting.Inc()
	leave, err := limit.take(ctx, key)
	waiting.Dec()
	if err != nil {
		return nil, err
	}
	running, begun := d.metrics.steps.WithLabelValues(step, phaseRunning), time.Now()
	running.Inc()
	return func() {
		leave()
		running.Dec()
		d.metrics.stepTime.WithLabelValues(step).Observe(time.Since(begun).Seconds())
	}, nil
}

// sourcesOf names the stores of an import's paths: what makes planning slow.
func sourcesOf(job imports.Job) string {
	var names []string
	for _, p := range job.Paths {
		names = append(names, storeOf(p.URI))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// storeOf returns the store that a URI lives in: its scheme and bucket.
func storeOf(uri string) string {
	u, err := objectstore.ParseURI(uri)
	if err != nil {
		return uri // whoever opens it says what is wrong
	}
	return u.Scheme + "://" + u.Bucket
}

// cuts lists the first page, and cuts the key space if more follows. Otherwise
// the import is small.
func (d *driver) cuts(ctx context.Context, job imports.Job) (cuts []string, small bool, err error) {
	done, err := d.turn(ctx, stepPlan, d.plans, sourcesOf(job))
	if err != nil {
		return nil, false, err
	}
	defer done()
	defer func() {
		if err != nil {
			err = fmt.Errorf("list the first page: %w", err)
		}
	}()
	src, err := source.Open(ctx, d.cfg.Stores, job.Paths)
	if err != nil {
		return nil, false, err
	}
	next, stop := iter.Pull2(src.List(ctx, "", source.Nowhere))
	defer stop()
	page, err, more := next()
	if !more || err != nil {
		return nil, !more, err
	}
	forecast := partition.NewForecast(new(partition.Known))
	forecast.See(page.Len(), func(i int) string { return string(page.Key(i)) })
	if _, err, more = next(); !more || err != nil {
		return nil, !more, err
	}
	return forecast.Cuts("", d.cfg.Partitions-1), false, nil
}

// advance folds the covers, commits once they chain, and queues the gaps that
// nobody works on.
func (d *driver) advance(ctx context.Context, record imports.Record) error {
	fold, _ := d.progress.fold()
	if fold.Complete() || record.State == imports.Committing {
		return d.land(ctx)
	}
	if err := d.progress.met(); err != nil {
		return err // what is missing may be there
	}
	return d.closeGaps(ctx, record)
}

// closeGaps queues each gap that no partition, queued or running, will cover.
// This one rule repairs whatever was lost between two steps of anybody.
//
// A partition leaves the queue after its last cover is stored. A survey looks at
// the queue first, and the covers that it counts then include those of every
// partition that it did not see there.
func (d *driver) closeGaps(ctx context.Context, record imports.Record) error {
	seen := d.survey.Load()
	if seen == nil || seen.number <= d.surveyed {
		return nil
	}
	fold, covers := d.progress.fold()
	if covers < seen.Covers[d.id] {
		return nil // they are still on their way
	}
	d.surveyed = seen.number
	outstanding, all, err := d.outstanding(ctx, record, seen.Partitions[d.id])
	if err != nil || !all {
		return err
	}
	for _, p := range partition.Uncovered(d.id, fold.Gaps, outstanding) {
		if d.listings[p.After] == maxListings {
			return inconsistent{p.Span}
		}
		if err := d.publish(ctx, queue.Bulk, p); err != nil {
			return err
		}
		d.listings[p.After]++
		d.cfg.Log.Info("gap queued again", "import_id", d.id, "span", p.Span.String(), "times", d.listings[p.After])
		d.metrics.gapsClosed.Inc()
	}
	return nil
}

// outstanding returns the partitions of the IDs, which a survey saw, and whether
// none of them has left the queue before it could be read: its covers may not be
// in the count of that survey. Read partitions are kept, since they never change.
func (d *driver) outstanding(ctx context.Context, record imports.Record, ids []string) (parts []partition.Partition, all bool, err error) {
	for _, p := range record.Partitions {
		d.parts[p.ID] = p
	}
	known := make(map[string]partition.Partition, len(ids))
	var unknown []string
	for _, id := range ids {
		if p, ok := d.parts[id]; ok {
			known[id] = p
		} else {
			unknown = append(unknown, id)
		}
	}
	read, err := d.cfg.Queue.Partitions(ctx, d.id, unknown)
	if err != nil {
		return nil, false, err
	}
	for _, p := range read {
		known[p.ID] = p
	}
	d.parts = known
	return slices.Collect(maps.Values(known)), len(read) == len(unknown), nil
}

// inconsistent says that the covers of a span do not chain, however often it is
// listed.
type inconsistent struct{ span partition.Span }

func (e inconsistent) Error() string {
	return fmt.Sprintf("the keys in %v were listed %d times and never gave ranges that join their neighbours: "+
		"the source changes faster than it can be listed", e.span, maxListings)
}
