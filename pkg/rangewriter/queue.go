package rangewriter

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// queue stores ranges concurrently and reports them in the order in which they were
// put. put and wait are for one goroutine.
type queue struct {
	ctx   context.Context
	fail  context.CancelCauseFunc // of ctx
	files Files
	opts  Options

	slots   chan struct{} // holds one for each range that was put and not reported
	last    chan struct{} // closed once the range that was put last, if any, is reported
	storing atomic.Int64  // ranges whose memory is not freed
	tasks   sync.WaitGroup
}

func newQueue(ctx context.Context, fail context.CancelCauseFunc, files Files, opts Options) *queue {
	q := &queue{
		ctx: ctx, fail: fail, files: files, opts: opts,
		slots: make(chan struct{}, max(opts.Uploads, 1)), last: make(chan struct{}),
	}
	close(q.last)
	return q
}

// put takes over a range and the memory of its file. While all slots are taken it waits.
func (q *queue) put(t table.Table, m memory) error {
	select {
	case <-q.ctx.Done():
		q.opts.Buffers.end(t.Data, m)
		return context.Cause(q.ctx)
	case q.slots <- struct{}{}:
	}
	before, reported := q.last, make(chan struct{})
	q.last = reported
	q.storing.Add(1)
	q.tasks.Go(func() {
		err := q.store(t, m)
		if err == nil {
			err = q.report(t.Meta, before)
		}
		if err != nil {
			q.fail(err)
			return
		}
		close(reported)
		<-q.slots
	})
	return nil
}

// wait waits until every range that was put has been reported.
func (q *queue) wait() error {
	select {
	case <-q.ctx.Done():
		return context.Cause(q.ctx)
	case <-q.last:
		return nil
	}
}

// idle reports whether no range is on its way to the store.
func (q *queue) idle() bool { return q.storing.Load() == 0 }

func (q *queue) store(t table.Table, m memory) error {
	defer func() {
		q.storing.Add(-1)
		q.opts.Buffers.end(t.Data, m)
	}()
	if err := q.files.Put(q.ctx, t.Meta.ID, t.Data, t.Sum); err != nil {
		return fmt.Errorf("store range %s of keys %q to %q: %w", t.Meta.ID, t.Meta.MinKey, t.Meta.MaxKey, err)
	}
	return nil
}

// report reports a stored range once the range before it is reported.
func (q *queue) report(r partition.RangeMetadata, before <-chan struct{}) error {
	select {
	case <-q.ctx.Done():
	case <-before:
	}
	if q.ctx.Err() != nil { // both may be ready
		return context.Cause(q.ctx)
	}
	if q.opts.Stored == nil {
		return nil
	}
	if err := q.opts.Stored(r); err != nil {
		return fmt.Errorf("report range %s of keys %q to %q: %w", r.ID, r.MinKey, r.MaxKey, err)
	}
	return nil
}
