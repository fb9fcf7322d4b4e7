package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// lister lists one partition into ranges and covers.
type lister struct {
	*delivery
	p     partition.Partition
	job   imports.Job
	src   *source.Source
	files rangewriter.Files
	owned *partition.Owned
	trail trail

	ctx     context.Context        // of run
	upto    atomic.Pointer[string] // of what is owned: read ahead so far
	begun   time.Time
	reached time.Time   // when the first batch came: a walk passes over all keys before its start until then
	started bool        // the boundary at which the owned keys start is known
	open    atomic.Bool // a range is open
	paused  error       // why the listing stopped after a range before its end, or nil
	heard   uint64      // the load at which it gave way last
	giving
}

// newLister returns the lister of p, which ends at cut, if that is not empty,
// because an earlier delivery handed over what follows.
func newLister(d *delivery, p partition.Partition, job imports.Job, src *source.Source, files rangewriter.Files, cut string) *lister {
	return &lister{
		giving:   giving{asked: d.load, forecast: partition.NewForecast(d.slot.knows(p.ImportID))},
		delivery: d, p: p, job: job, src: src, files: files, owned: p.Owned(job.Breaks),
		trail: trail{cut: cut}, begun: d.now(),
	}
}

// run lists the partition to its end, or until it is paused.
func (l *lister) run(ctx context.Context) error {
	l.ctx = ctx
	if err := l.checkStart(); err != nil {
		return err
	}
	l.trail.publish = func(c partition.Cover) error { return l.cover(ctx, c) }
	ranges := rangewriter.New(ctx, l.files, l.job.Breaks, rangewriter.Options{
		Uploads: uploads,
		Buffers: &l.buffers,
		Stored: func(r partition.RangeMetadata) error {
			return l.trail.cover(r.MaxKey, &r)
		},
	})
	defer ranges.Close()
	// Who is told to stop while no range is open need not wait for the store.
	listing, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(l.leave, func() {
		if !l.open.Load() {
			stop()
		}
	})()
	upto := l.p.Upto
	l.upto.Store(&upto)
	ended, err := l.pages(ctx, listing, ranges)
	if err != nil {
		return err
	}
	l.slot.ended.Store(true)
	if l.now().Sub(l.begun) > getReady {
		l.rate.Store(int64(l.speed()))
	}
	if !ended {
		return l.finish(ranges)
	}
	if err := ranges.Flush(); err != nil {
		return err // of the rest, which is queued already, nothing is missing
	}
	return l.paused
}

// place says where a listing goes on after a key, "" for none.
func place(last string) string {
	if last == "" {
		return "from the start"
	}
	return fmt.Sprintf("after key %q", last)
}

// pages takes page after page, and reports whether what the partition owns ended in
// one. listing may end before ctx, which has the work of all that was listed.
func (l *lister) pages(ctx, listing context.Context, ranges *rangewriter.Writer) (ended bool, err error) {
	last := l.p.After
	opts := objectstore.ListOptions{Upto: func() string { return *l.upto.Load() }, PassedOver: l.pass}
	for batch, err := range l.src.List(listing, l.p.After, opts) {
		if l.reached.IsZero() {
			l.reached = l.now()
		}
		if err != nil && listing.Err() != nil && ctx.Err() == nil {
			return false, errors.Join(ranges.Wait(), errLeaving)
		}
		if err != nil {
			return false, fmt.Errorf("list %s: %w", place(last), err)
		}
		if ended, err := l.take(ranges, batch); ended || err != nil {
			return ended, err // no page more is listed while the last ranges are stored
		}
		if l.leave.Err() != nil && ranges.AtBoundary() {
			return false, errors.Join(ranges.Wait(), errLeaving)
		}
		if err := l.handOver(ctx, batch); err != nil {
			return false, err
		}
		last = string(batch.Key(batch.Len() - 1))
		l.slot.moved.set(l.now())
	}
	return false, nil
}

// take writes what the partition owns of a batch, and reports whether the
// listing ends in it.
func (l *lister) take(ranges *rangewriter.Writer, batch entry.Batch) (end bool, err error) {
	from, to, end := l.owned.Take(batch.Len(), batch.Key)
	l.listed += uint64(batch.Len())
	l.total += uint64(batch.Len())
	l.start()
	for from < to {
		rest := batch.Slice(from, to)
		n, ended, err := ranges.WriteRange(rest)
		rest.Release()
		if err != nil {
			return false, err
		}
		from += n
		if ended && l.stopAt(batch.Key(from-1)) {
			return true, nil
		}
		l.open.Store(!ended)
	}
	return end, nil
}

// stopAt stops the listing after the range that ends with the key, at the end of
// the partition or to pause it there, and reports whether it did.
func (l *lister) stopAt(last []byte) bool {
	switch {
	case l.owned.EndsWith(last):
		return true
	case l.leave.Err() != nil:
		l.paused = errLeaving
	case l.yields() && l.queueRest(string(last)):
		l.paused = errYielded
	}
	return l.paused != nil
}

// finish ends the partition at the end of the listing. One that met no anchor owns
// no keys.
func (l *lister) finish(ranges *rangewriter.Writer) error {
	if err := ranges.Flush(); err != nil {
		return err
	}
	if l.start(); !l.started {
		return nil
	}
	if err := l.checkEnd(); err != nil {
		return err
	}
	return l.trail.end(l.owned)
}

// start tells the trail where the owned keys start, once that is known and
// before the first of them is written.
func (l *lister) start() {
	if start, known := l.owned.Start(); known && !l.started {
		l.started = true
		l.trail.at = start
	}
}

// yields reports whether the partition gives way to others after a range. It does
// where a partition of another import is the next in line and this one has been
// at work for a slice of time. A walk that gives way begins anew, so it goes on for
// as long as it took to come to its start: giving way takes half of its time at most.
func (l *lister) yields() bool {
	total, fresh := l.atWork(l.now())
	if total < l.cfg.Slice || fresh < total-fresh {
		return false
	}
	load, seq := l.outlook.Latest()
	if seq == l.heard || load.Next == "" || load.Next == l.p.ImportID {
		return false
	}
	l.heard = seq
	return l.elected(load.Pending, load.Running)
}

// queueRest queues what is left of the partition after a boundary, and reports
// whether it did.
func (l *lister) queueRest(boundary string) bool {
	rest, left := l.p.Resume(partition.Cover{Span: partition.Span{Upto: boundary}, Cut: l.trail.cut}, l.job.Breaks)
	return left && l.publish(l.ctx, partition.New(rest.ImportID, rest.Span, true, rest.UptoAligned))
}

// atWork returns for how long the partition has been at work, and for how long of that
// with keys that it did not have before.
func (l *lister) atWork(now time.Time) (total, fresh time.Duration) {
	fresh = now.Sub(l.reached)
	if l.passed.at.Load() != nil {
		fresh = min(fresh, l.passed.since(now))
	}
	return now.Sub(l.begun), fresh
}

// elected reports whether this is one of those that act, where n of the running
// partitions' workers should and all of them hear of it at the same time.
func (w *Worker) elected(n, running int) bool {
	return w.chance()*float64(running) < float64(n)
}

// trail makes covers of a partition out of ranges, each from where the one
// before ended. Its methods may be called concurrently, cover in key order.
type trail struct {
	publish func(partition.Cover) error

	mu  sync.Mutex
	at  string // the boundary after which the next cover starts
	cut string // where the partition ends since it was cut, or ""
}

// cover publishes the cover that ends at upto.
func (t *trail) cover(upto string, r *partition.RangeMetadata) error {
	t.mu.Lock()
	c := partition.Cover{Span: partition.Span{After: t.at, Upto: upto}, Range: r, Cut: t.cut}
	t.at = upto
	t.mu.Unlock()
	return t.publish(c)
}

// end publishes the last cover of a partition whose listing came to an end.
func (t *trail) end(owned *partition.Owned) error {
	t.mu.Lock()
	c := owned.End(t.at)
	c.Cut = t.cut
	t.at = c.Upto
	t.mu.Unlock()
	if c.Empty() {
		return nil
	}
	return t.publish(c)
}

func (t *trail) cutAt(cut string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = cut
}
