package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// Ways in which a delivery ends that are no faults of a store.
var (
	errOver    = errors.New("the import has ended")
	errLost    = errors.New("no heartbeat was confirmed: another worker has the partition by now")
	errLeaving = errors.New("the worker is told to stop")
	errYielded = errors.New("the rest waits behind the partitions of other imports")
	errStuck   = errors.New("the listing got no further, and did not say why")
	errEarly   = errors.New("the record was read as it was before the import was planned")
	errFatal   = errors.New("no worker came back from it")
)

// delivery is one delivery of a partition to a slot:
//
//	take ─▶ resume ─▶ list ─▶ write ─▶ cover ─▶ finish
//
// The slot takes the partition (admission). The delivery resumes after the partition's
// last cover, and lists what is left (lister). The range writer stores ranges, each of
// which is covered (coverWriter). In the end the delivery is acknowledged, or handed back
// to the queue (finish.go). The slot's goroutine does all this, except that goroutines of
// the range writer publish covers, one after the other. Meanwhile a guard sends heartbeats
// in a goroutine of its own. Calls to stores, which may be made in any goroutine, are noted
// (waits).
type delivery struct {
	worker *Worker
	slot   *slot
	task   *queue.Task
	leave  context.Context // ends when the worker is told to stop
	log    *slog.Logger

	// loadSeq is the number of the load that was received last when the delivery began.
	// Nothing is handed over because of it: the slot that waited may be this one.
	loadSeq uint64

	ownership *ownership
	publisher *publisher
	covers    *coverWriter
	tries     *tries
	waits     *waits
	stall     *stallWatch
	reporter  *reporter
	spans     *spans // nil if the import is not recorded
}

func newDelivery(leave context.Context, w *Worker, s *slot, task *queue.Task) *delivery {
	p := task.Partition
	d := &delivery{worker: w, slot: s, task: task, leave: leave}
	d.log = w.cfg.Log.With("import_id", p.ImportID, "partition", p.ID)
	d.ownership = &ownership{now: w.now, limit: task.AckWait * ownedTenths / 10, confirmed: task.Received}
	d.spans = newSpans(w.tracer, w.now, s.lane, task)
	d.publisher = &publisher{backend: w.cfg.Backend, partition: p, ownership: d.ownership, trace: task.Trace, spans: d.spans, log: d.log}
	d.covers = &coverWriter{publisher: d.publisher, covered: d.covered}
	d.tries = &tries{publisher: d.publisher, covers: d.covers, worker: w.name, read: task.Deliveries == 1, count: 1}
	d.tries.suspicion.Store(new(suspicion))
	d.waits = newWaits(w.now, w.stalls.answered)
	d.stall = &stallWatch{d: d}
	d.reporter = newReporter(d)
	return d
}

// work does what the partition's last cover left to do. It ends early when the import
// ends, when the queue may have delivered the partition to another worker, when
// the worker is told to stop, and to give way to others.
func (d *delivery) work(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.noteLoad()
	// Before the record is read, so that no change of it is missed.
	changed, err := d.worker.cfg.Imports.Watch(ctx, d.task.Partition.ImportID)
	if err != nil {
		return err
	}
	record, err := d.worker.cfg.Imports.Get(ctx, d.task.Partition.ImportID)
	if over(record, err) {
		return errOver
	}
	if err != nil {
		return err
	}
	if record.Partitions == nil {
		return errEarly // an old record does not say how buckets are listed
	}
	var guard sync.WaitGroup
	guard.Go(func() { stop(d.guard(ctx, changed)) })
	err = d.list(ctx, record.Job)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	guard.Wait()
	return err
}

// noteLoad notes how the bulk lane stands as the delivery begins. If other slots wait
// besides this one, the lane is looked at again once there may be something to give.
func (d *delivery) noteLoad() {
	var load queue.LaneLoad
	if load, d.loadSeq = d.worker.load.Last(); load.Waiting > 1 {
		d.worker.load.Prompt()
	}
}

// resume reads what earlier deliveries left behind, and returns what is left of the
// partition after its last cover, and whether anything is.
func (d *delivery) resume(ctx context.Context, breaks partition.Breaks) (rest partition.Partition, left bool, err error) {
	rest, left = d.task.Partition, true
	last, covered, err := d.worker.cfg.Backend.Covers.Last(ctx, rest.ImportID, rest.ID)
	if err != nil {
		return rest, false, err
	}
	d.covers.resume(last)
	if d.task.Deliveries > 1 {
		cut, err := d.tries.readNote(ctx)
		if d.tries.count > 1 {
			d.reporter.again() // at once: this worker may end with the partition, too
		}
		if err != nil {
			return rest, false, err
		}
		if cut != "" && (last.Cut == "" || cut < last.Cut) { // cuts only ever take away
			last.Cut = cut
		}
	}
	if covered {
		rest, left = rest.Resume(last, breaks)
	} else if last.Cut != "" {
		rest = rest.Cut(last.Cut)
	}
	d.publisher.owned = rest.Owned(breaks)
	if d.task.Deliveries > 1 {
		err = d.tries.note(ctx)
	}
	return rest, left, err
}

// list lists what is left of the partition and writes its ranges.
func (d *delivery) list(ctx context.Context, job imports.Job) error {
	rest, left, err := d.resume(ctx, job.Breaks)
	if err != nil || !left {
		return err
	}
	if err := d.stall.postponed(); err != nil {
		return err
	}
	if err := d.sameRoles(job); err != nil {
		return err
	}
	stores := waitingStores{d.worker.cfg.Stores, d.waits, d.reporter.repeated}
	src, err := source.Open(ctx, stores, job.Paths, job.Listing.Mode)
	if err != nil {
		return err
	}
	src.Markers = job.Markers
	d.stall.walks.Store(src.Walks())
	files, err := namespace.Open(ctx, stores, job.Namespace)
	if err != nil {
		return err
	}
	return newLister(d, rest, job.Breaks, src).run(ctx, files)
}

// sameRoles returns an objectstore.ErrSettings if this worker would read a path with another role
// than the coordinator that planned the import, or without one.
func (d *delivery) sameRoles(job imports.Job) error {
	roles, err := source.Roles(d.worker.cfg.Roles, job.Paths)
	if err != nil || slices.Equal(roles, job.Roles) {
		return err
	}
	return fmt.Errorf("sources.roles of worker %s has the roles %q for the paths, the coordinator's %q: %w", d.worker.name, roles, job.Roles, objectstore.ErrSettings)
}

// covered notes that a cover was stored. It is called by one goroutine at a time.
func (d *delivery) covered(c partition.Cover, first bool) {
	if first && d.tries.count > 1 {
		d.publisher.problem("")
	}
	d.slot.progress.set(d.worker.now())
	d.reporter.cover(c)
	d.spans.covered(c.Range)
	if c.Range != nil {
		d.worker.metrics.ranges.Inc()
		d.worker.metrics.objects.Add(float64(c.Range.Count))
	}
}
