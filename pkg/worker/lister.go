package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// lister lists what is left of one partition, writes its ranges, and ends at the
// partition's end or where it gives way. It is for one goroutine; only passOver may be
// called concurrently.
type lister struct {
	d        *delivery
	src      *source.Source
	rest     partition.Partition // what was left when the listing began
	owned    *partition.Owned    // what is left now
	breaks   partition.Breaks
	meter    *meter
	handOver *handOver

	started bool        // the boundary at which the owned keys start is known
	open    atomic.Bool // a range is open
	paused  error       // why the listing stopped after a range before its end, or nil
	decided uint64      // number of the load for which it last decided whether to give way
}

// newLister returns the lister of what is left of a delivery's partition.
func newLister(d *delivery, rest partition.Partition, breaks partition.Breaks, src *source.Source) *lister {
	m := newMeter(d.worker.now)
	return &lister{d: d, src: src, rest: rest, owned: d.publisher.owned, breaks: breaks, meter: m, handOver: newHandOver(d, breaks, m)}
}

// run lists to the end of the partition, or until it is paused.
func (l *lister) run(ctx context.Context, files rangewriter.Files) error {
	if err := l.checkStart(ctx); err != nil {
		return err
	}
	ranges := rangewriter.New(ctx, files, l.breaks, rangewriter.Options{
		Uploads: uploads,
		Buffers: l.d.worker.cfg.Buffers,
		Stored:  func(r partition.RangeMetadata) error { return l.d.covers.write(ctx, r) },
	})
	defer ranges.Close()
	// A worker that is told to stop while no range is open waits neither for a page
	// nor for memory.
	listing, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(l.d.leave, func() {
		if !l.open.Load() {
			stop(errLeaving)
		}
	})()
	ended, err := l.pages(ctx, listing, ranges)
	if err != nil && errors.Is(context.Cause(listing), errLeaving) {
		return errors.Join(ranges.Wait(), errLeaving)
	}
	if err != nil {
		return err
	}
	l.d.slot.listed.Store(true)
	if l.meter.now().Sub(l.meter.begun) > getReady {
		l.d.worker.lastRate.Store(int64(l.meter.speed()))
	}
	if !ended {
		return l.endListing(ctx, ranges)
	}
	if err := ranges.Flush(); err != nil {
		return err // not l.paused: the ranges before the pause are listed again
	}
	return l.paused
}

// pages takes page after page, and reports whether the partition ended in one.
// listing may end before ctx: then no page is listed and no range begins, but what was
// listed is stored.
func (l *lister) pages(ctx, listing context.Context, ranges *rangewriter.Writer) (ended bool, err error) {
	last := l.rest.After
	opts := objectstore.ListOptions{Upto: l.owned.Upto, PassedOver: l.passOver}
	for batch, err := range l.src.List(listing, l.rest.After, opts) {
		l.meter.arrive()
		if err != nil {
			return false, fmt.Errorf("list %s: %w", place(last), err)
		}
		l.d.spans.page(batch.Len())
		if ended, err := l.write(ctx, listing, ranges, batch); ended || err != nil {
			return ended, err // no further page is listed while the last ranges are stored
		}
		if l.leaving() && ranges.AtBoundary() {
			l.paused = errLeaving
			return true, nil
		}
		if err := l.handOver.after(ctx, batch); err != nil {
			return false, err
		}
		if l.d.reporter.due() {
			l.d.reporter.listed(l.handOver.guess())
		}
		last = string(batch.Key(batch.Len() - 1))
		l.d.slot.progress.set(l.meter.now())
	}
	return false, nil
}

// place says where a listing goes on after a key, "" for none.
func place(last string) string {
	if last == "" {
		return "from the start"
	}
	return fmt.Sprintf("after key %q", last)
}

// write writes what the partition owns of a batch, and reports whether the listing
// ends in it.
func (l *lister) write(ctx, listing context.Context, ranges *rangewriter.Writer, batch entry.Batch) (ended bool, err error) {
	from, to, ended := l.owned.Take(batch.Len(), batch.Key)
	l.meter.keys += uint64(batch.Len())
	l.start()
	for from < to {
		left := batch.Slice(from, to)
		n, atBoundary, err := ranges.WriteRange(listing, left)
		left.Release()
		if err != nil {
			return false, err
		}
		from += n
		l.d.reporter.take(n, batch.Key(from-1))
		l.open.Store(!atBoundary)
		if !atBoundary {
			continue
		}
		boundary := batch.Key(from - 1)
		switch {
		case l.owned.EndsWith(boundary):
			return true, nil
		case l.leaving():
			l.paused = errLeaving
			return true, nil
		case l.yields():
			if rest, left := l.owned.Rest(string(boundary)); left && l.d.publisher.give(ctx, rest) {
				l.d.reporter.waits(rest, l.handOver.guess())
				l.paused = errYielded // the rest waits behind the partitions of others
				return true, nil
			}
		}
	}
	return ended, nil
}

// yields decides whether the partition gives way to those of other imports: once it has
// been at work for a slice of time, if a partition of another import is the next in
// line. A walk that gives way starts over, so it goes on for as long as it took to
// come to its first new key: repeated keys take half of its time at most. It decides once
// for each load.
func (l *lister) yields() bool {
	worker := l.d.worker
	total, fresh := l.meter.atWork()
	if total < worker.cfg.Slice || fresh < total-fresh {
		return false
	}
	load, seq := worker.load.Last()
	if seq == l.decided || load.Next == "" || load.Next == l.rest.ImportID {
		return false
	}
	l.decided = seq
	return worker.chance.elects(load.Pending, load.Running)
}

// leaving reports whether the worker is told to stop.
func (l *lister) leaving() bool { return l.d.leave.Err() != nil }

// start sets where the first cover starts, once that is known and
// before the first of them is written.
func (l *lister) start() {
	if start, known := l.owned.Start(); known && !l.started {
		l.started = true
		l.d.covers.next = start
		l.d.reporter.begin(start)
	}
}

// endListing ends the partition at the end of its listing. A partition that met no
// anchor owns no keys.
func (l *lister) endListing(ctx context.Context, ranges *rangewriter.Writer) error {
	if err := ranges.Flush(); err != nil {
		return err
	}
	if l.start(); !l.started {
		return nil
	}
	if err := l.checkEnd(ctx); err != nil {
		return err
	}
	return l.d.covers.end(ctx, l.owned)
}

// passOver notes that the listing passed over a page: it is alive, and walks, if it did
// not from the start. It may be called concurrently.
func (l *lister) passOver() {
	now := l.meter.now()
	l.d.stall.walks.Store(true)
	l.meter.further.set(now)
	l.d.slot.progress.set(now)
}
