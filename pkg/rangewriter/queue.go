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
	ctx    context.Context
	fail   context.CancelCauseFunc // of ctx
	files  Files
	stored func(partition.RangeMetadata) error
	free   *Buffers

	slots   chan struct{} // one for every range that may be put now
	order   chan *upload  // to be reported in this order; it has room for one range per slot
	last    *upload       // that was put, or nil
	storing atomic.Int64  // ranges whose memory is not freed
	tasks   sync.WaitGroup
}

// upload is a range in flight.
type upload struct {
	table.Table
	memory   memory        // of its file
	stored   chan struct{} // closed once it is stored
	reported chan struct{} // closed once it is reported
}

func newQueue(ctx context.Context, fail context.CancelCauseFunc, files Files, opts Options) *queue {
	opts.Uploads = max(opts.Uploads, 1)
	if opts.Stored == nil {
		opts.Stored = func(partition.RangeMetadata) error { return nil }
	}
	q := &queue{
		ctx:    ctx,
		fail:   fail,
		files:  files,
		stored: opts.Stored,
		free:   opts.Buffers,
		slots:  make(chan struct{}, opts.Uploads),
		order:  make(chan *upload, opts.Uploads),
	}
	for range opts.Uploads {
		q.slots <- struct{}{}
	}
	q.tasks.Go(q.report)
	return q
}

// put takes over a range and the memory of its file. While all slots are taken it waits.
func (q *queue) put(t table.Table, m memory) error {
	select {
	case <-q.ctx.Done():
		q.free.end(t.Data, m)
		return context.Cause(q.ctx)
	case <-q.slots:
		u := &upload{Table: t, memory: m, stored: make(chan struct{}), reported: make(chan struct{})}
		q.last = u
		q.storing.Add(1)
		q.order <- u
		q.tasks.Go(func() { q.store(u) })
		return nil
	}
}

// wait waits until every range that was put has been reported.
func (q *queue) wait() error {
	if q.last == nil {
		return nil
	}
	select {
	case <-q.ctx.Done():
		return context.Cause(q.ctx)
	case <-q.last.reported:
		return nil
	}
}

// idle reports whether no range is on its way to the store.
func (q *queue) idle() bool { return q.storing.Load() == 0 }

// join waits for all goroutines, once ctx has ended.
func (q *queue) join() { q.tasks.Wait() }

func (q *queue) store(u *upload) {
	defer func() {
		q.storing.Add(-1)
		q.free.end(u.Data, u.memory)
	}()
	if err := q.files.Put(q.ctx, u.Meta.ID, u.Data, u.Sum); err != nil {
		q.fail(fmt.Errorf("store range %s of keys %q to %q: %w", u.Meta.ID, u.Meta.MinKey, u.Meta.MaxKey, err))
		return
	}
	close(u.stored)
}

// report reports stored ranges in order until ctx ends.
func (q *queue) report() {
	for {
		u, ok := q.next()
		if !ok {
			return
		}
		if err := q.stored(u.Meta); err != nil {
			q.fail(fmt.Errorf("report range %s of keys %q to %q: %w", u.Meta.ID, u.Meta.MinKey, u.Meta.MaxKey, err))
			return
		}
		close(u.reported)
		q.slots <- struct{}{}
	}
}

// next waits until the next range in order is stored. ok is false if ctx ends first.
func (q *queue) next() (u *upload, ok bool) {
	select {
	case <-q.ctx.Done():
		return nil, false
	case u = <-q.order:
	}
	select {
	case <-q.ctx.Done():
		return nil, false
	case <-u.stored:
		return u, q.ctx.Err() == nil // both may be ready
	}
}
