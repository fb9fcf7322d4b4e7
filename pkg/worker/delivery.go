package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// Ways in which a delivery ends that are no faults of a store.
var (
	errOver    = errors.New("the import has ended")
	errLost    = errors.New("no heartbeat was confirmed: somebody else has the partition by now")
	errLeaving = errors.New("the worker is told to stop")
	errYielded = errors.New("the rest waits behind the partitions of other imports")
	errStuck   = errors.New("the listing got no further, and did not say why")
	errEarly   = errors.New("the record that was read is of before the import was planned")
	errFatal   = errors.New("no worker came back from it")
)

// delivery is one delivery of a partition. It is for one goroutine.
type delivery struct {
	*Worker
	slot  *slot
	task  *queue.Task
	hold  *hold
	leave context.Context // ends when the worker is told to stop
	load  uint64          // that was heard last when it began; whoever waited then was given something since, this partition perhaps
	tries int             // deliveries in a row, with this one, that began where this one did

	waits     *waits
	suspicion suspicion
	walks     atomic.Bool // whoever is given the partition next begins with the first key
	passed    clock       // when a page was passed over

	refused []string // the workers of those deliveries to which a store refused the keys, one a time
	cut     string   // where the partition ends since it was cut, as far as that was noted; "" if it was not

	begunAt string // where the last cover ended when the delivery began, "" before the first one
	at      string // where it ends now
}

func newDelivery(leave context.Context, w *Worker, s *slot, task *queue.Task) *delivery {
	limit := task.AckWait * holdsTenths / 10
	return &delivery{
		Worker: w, slot: s, task: task, leave: leave, tries: 1,
		hold:  &hold{now: w.now, limit: limit, confirmed: task.Received},
		waits: newWaits(w.now, w.answered),
	}
}

// hear notes what is known of the fleet as the delivery begins. If others were waiting
// beside this one, they are to be looked at again once there may be something to give.
func (d *delivery) hear() {
	var load queue.Load
	if load, d.load = d.outlook.Latest(); load.Waiting > 1 {
		d.outlook.Prompt()
	}
}

// work does whatever the partition's last cover left to do. It ends early when
// the import ends, when the queue may have delivered the partition to somebody
// else, when the worker is told to stop, and to give way to others.
func (d *delivery) work(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// Before the record is read, so that no change of it is missed.
	changed, err := d.cfg.Imports.Watch(ctx, d.task.Partition.ImportID)
	if err != nil {
		return err
	}
	record, err := d.cfg.Imports.Get(ctx, d.task.Partition.ImportID)
	if over(record, err) {
		return errOver
	}
	if err != nil {
		return err
	}
	if record.Partitions == nil {
		return errEarly // it is old, and does not tell how buckets are listed
	}
	guarded := make(chan struct{})
	go func() {
		defer close(guarded)
		d.guard(ctx, changed, stop)
	}()
	err = d.list(ctx, record.Job)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-guarded
	return err
}

// list lists the partition and writes its ranges.
func (d *delivery) list(ctx context.Context, job imports.Job) error {
	p := d.task.Partition
	last, found, err := d.cfg.Queue.LastCover(ctx, p.ImportID, p.ID)
	if err != nil {
		return err
	}
	d.at, d.begunAt = last.Upto, last.Upto
	if err := d.countTries(ctx); err != nil {
		return err
	}
	if d.cut != "" && (last.Cut == "" || d.cut < last.Cut) { // cuts only ever take away
		last.Cut = d.cut
	}
	if found {
		var left bool
		if p, left = p.Resume(last, job.Breaks); !left {
			return nil
		}
	} else if last.Cut != "" {
		p = p.Cut(last.Cut)
	}
	if err := d.postponed(); err != nil {
		return err
	}
	stores := waitingStores{d.cfg.Stores, d.waits}
	src, err := source.Open(ctx, stores, job.Paths, job.Listing.Mode)
	if err != nil {
		return err
	}
	d.walks.Store(src.Walks())
	src.Markers = job.Markers
	files, err := namespace.Open(ctx, stores, job.Namespace)
	if err != nil {
		return err
	}
	return newLister(d, p, job, src, files, last.Cut).run(ctx)
}

// pass notes that the listing has passed over a page: a sign of life, and one that it walks, if
// it did not from the start.
func (d *delivery) pass() {
	d.walks.Store(true)
	d.passed.set(d.now())
	d.slot.moved.set(d.now())
}

// countTries notes that a partition which was delivered before is tried once
// more. Of tries only those in a row count that got no further, and none that a
// worker handed back because it was told to stop. The first try notes nothing,
// and is counted by the second.
func (d *delivery) countTries(ctx context.Context) error {
	if d.task.Deliveries == 1 {
		return nil
	}
	p := d.task.Partition
	noted, found, err := d.cfg.Queue.Tries(ctx, p.ImportID, p.ID)
	if err != nil {
		return err
	}
	d.cut = noted.Cut
	switch {
	case !found && d.at == "":
		d.tries = 2
	case found && noted.At == d.at:
		d.tries, d.refused = noted.Count+1, noted.Refused
		d.suspicion.set(noted.Waited, noted.For)
	}
	if d.tries > maxDeaths {
		return fmt.Errorf("after %d tries in a row: %w", d.tries-1, errFatal)
	}
	return d.note(ctx, d.counted())
}

// counted is what is to be known of a delivery before it has got further.
func (d *delivery) counted() queue.Tries {
	waited, store := d.suspicion.get()
	return queue.Tries{Count: d.tries, At: d.begunAt, Refused: d.refused, Waited: waited, For: store}
}

// note notes what is known of the partition's tries, and where it was cut.
func (d *delivery) note(ctx context.Context, t queue.Tries) error {
	p := d.task.Partition
	t.Cut = d.cut
	return d.cfg.Queue.NoteTries(ctx, p.ImportID, p.ID, t)
}

// noteCut notes where the partition ends from now on. Covers tell it too, but the next
// one may be a minute away: without the note, whoever resumes the partition would
// list once more all that others were given.
func (d *delivery) noteCut(ctx context.Context, cut string) {
	if d.hold.check() != nil {
		return // the guard says so
	}
	d.cut = cut
	if err := d.note(ctx, d.counted()); err != nil {
		d.cfg.Log.Debug("note a cut", "import_id", d.task.Partition.ImportID, "err", err)
	}
}

// cover publishes a cover of the partition, as long as it is this worker's.
func (d *delivery) cover(ctx context.Context, c partition.Cover) error {
	if err := d.hold.check(); err != nil {
		return err
	}
	if err := d.cfg.Queue.PublishCover(ctx, d.task.Partition.ImportID, d.task.Partition.ID, c); err != nil {
		return err
	}
	if d.at == d.begunAt && d.tries > 1 {
		d.tellTrouble(nil)
	}
	d.at = c.Upto
	d.slot.moved.set(d.now())
	if c.Range != nil {
		d.metrics.ranges.Inc()
		d.metrics.objects.Add(float64(c.Range.Count))
	}
	return nil
}

// publish queues what this partition gives away, as long as it is this worker's,
// and reports whether it did. That it could not is no reason to stop listing.
func (d *delivery) publish(ctx context.Context, p partition.Partition) bool {
	if d.hold.check() != nil {
		return false // the guard says so
	}
	if err := d.cfg.Queue.Publish(ctx, p); err != nil {
		d.cfg.Log.Debug("give a part of a partition away", "import_id", p.ImportID, "err", err)
		return false
	}
	return true
}
