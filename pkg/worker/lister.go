package worker

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// lister lists one partition into ranges and covers.
type lister struct {
	*Worker
	p     partition.Partition
	job   imports.Job
	src   *source.Source
	files rangewriter.Files
	owned *partition.Owned
	trail trail

	started bool      // the boundary at which the owned keys start is known
	asked   time.Time // when it was last asked whether others are idle
	listed  uint64    // owned keys since the partition was last cut
}

// newLister returns the lister of p, which ends at cut, if that is not empty,
// because an earlier delivery handed over what follows.
func newLister(w *Worker, p partition.Partition, job imports.Job, src *source.Source, files rangewriter.Files, cut string) *lister {
	return &lister{Worker: w, p: p, job: job, src: src, files: files, owned: p.Owned(job.Breaks), trail: trail{cut: cut}}
}

// run lists the partition to its end.
func (l *lister) run(ctx context.Context) error {
	l.trail.publish = func(c partition.Cover) error {
		if err := l.cfg.Queue.PublishCover(ctx, l.p.ImportID, l.p.ID, c); err != nil {
			return err
		}
		if c.Range != nil {
			l.metrics.ranges.Inc()
			l.metrics.objects.Add(float64(c.Range.Count))
		}
		return nil
	}
	ranges := rangewriter.New(ctx, l.files, l.job.Breaks, rangewriter.Options{
		Uploads: uploads,
		Buffers: &l.buffers,
		Stored: func(r partition.RangeMetadata) error {
			return l.trail.cover(r.MaxKey, &r)
		},
	})
	defer ranges.Close()
	for batch, err := range l.src.List(ctx, l.p.After, l.p.Upto) {
		if err != nil {
			return err
		}
		if end, err := l.take(ranges, batch); end || err != nil {
			return err
		}
		if err := l.handOver(ctx, batch); err != nil {
			return err
		}
	}
	return l.finish(ranges)
}

// take writes what the partition owns of a batch, and reports whether the
// partition ended in it.
func (l *lister) take(ranges *rangewriter.Writer, batch entry.Batch) (end bool, err error) {
	from, to, end := l.owned.Take(batch.Len(), batch.Key)
	l.start()
	if from < to {
		owned := batch.Slice(from, to)
		defer owned.Release()
		l.listed += uint64(to - from)
		_, stopped, err := ranges.WriteUntil(owned, l.owned.EndsWith)
		if err != nil {
			return false, err
		}
		if stopped {
			return true, ranges.Wait()
		}
	}
	if end {
		return true, ranges.Flush()
	}
	return false, nil
}

// finish ends the partition at the end of the listing: no key follows, so what
// it covers reaches to the open end. A partition that met no anchor owns none.
func (l *lister) finish(ranges *rangewriter.Writer) error {
	if err := ranges.Flush(); err != nil {
		return err
	}
	if l.start(); !l.started {
		return nil
	}
	return l.trail.cover("", nil)
}

// start tells the trail where the owned keys start, once that is known and
// before the first of them is written.
func (l *lister) start() {
	if start, known := l.owned.Start(); known && !l.started {
		l.started = true
		l.trail.at = start
	}
}

// handOver cuts the partition after the batch, and queues the upper part of
// what is left, if others wait for work. It pays only where much is left: both
// sides list the keys up to the next anchor.
func (l *lister) handOver(ctx context.Context, batch entry.Batch) error {
	if l.listed < l.job.Breaks.Raggedness || time.Since(l.asked) < hungerEvery {
		return nil
	}
	l.asked = time.Now()
	hungry, err := l.cfg.Queue.Hungry(ctx)
	if err != nil || !hungry {
		return ctx.Err() // not knowing is no reason to stop listing
	}
	first, last := string(batch.Key(0)), string(batch.Key(batch.Len()-1))
	rest := partition.Span{After: last, Upto: l.owned.Upto()}
	cut, ok := partition.Middle(rest, first, last)
	if !ok {
		return nil
	}
	if err := l.cfg.Queue.Publish(ctx, l.owned.Rest(cut)); err != nil {
		return err
	}
	l.owned.Cut(cut)
	l.trail.cutAt(cut)
	l.listed = 0
	l.metrics.handOvers.Inc()
	return nil
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

func (t *trail) cutAt(cut string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = cut
}
