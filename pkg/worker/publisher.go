package worker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// publisher sends what a delivery says about its partition: covers, notes for the
// next delivery, partitions cut off it, and problems. All but problems are sent only
// while the delivery owns the partition. Covers and notes say where the partition was
// cut.
type publisher struct {
	backend   *backend.Backend
	partition partition.Partition // as it was queued
	ownership *ownership
	owned     *partition.Owned // nil before the delivery is resumed
	trace     tracing.Place    // of the import
	spans     *spans
	log       *slog.Logger
}

// cut returns where the partition was cut since it was queued, or "": a cut lies
// before the end that the partition was queued with.
func (p *publisher) cut() string {
	if p.owned == nil || p.owned.Upto() == p.partition.Upto {
		return ""
	}
	return p.owned.Upto()
}

func (p *publisher) cover(ctx context.Context, c partition.Cover) error {
	if err := p.ownership.check(); err != nil {
		return err
	}
	c.Cut = p.cut()
	return p.backend.Covers.Publish(ctx, p.partition.ImportID, p.partition.ID, c)
}

// note stores what the next delivery of the partition is to know of those before.
func (p *publisher) note(ctx context.Context, t covers.Tries) error {
	if err := p.ownership.check(); err != nil {
		return err
	}
	t.Cut = p.cut()
	return p.backend.Covers.NoteTries(ctx, p.partition.ImportID, p.partition.ID, t)
}

// give queues a part of the partition for others, and reports whether it did. A
// part that cannot be queued is no reason to stop listing.
func (p *publisher) give(ctx context.Context, part partition.Partition) bool {
	if p.ownership.check() != nil {
		return false // the guard stops the delivery
	}
	if err := p.spans.send(part, func() error { return p.backend.Queue.Publish(ctx, queue.Bulk, part) }); err != nil {
		p.log.DebugContext(ctx, "queue a part of a partition", "err", err)
		return false
	}
	return true
}

// problem reports to coordinators, for the import's status, why the partition does not
// get further; "" reports that it does again.
func (p *publisher) problem(text string) {
	t := gossip.Problem{ImportID: p.partition.ImportID, PartitionID: p.partition.ID}
	if text != "" {
		t.Text = fmt.Sprintf("the keys %v%s", p.partition.Span, text)
	}
	if err := p.backend.Gossip.BroadcastProblem(t); err != nil {
		p.log.DebugContext(p.trace.In(context.Background()), "report a problem", "err", err)
	}
}

// coverWriter publishes the covers of a partition, each from where the one before
// ended, in key order. Its methods are called by one goroutine after the other.
type coverWriter struct {
	publisher *publisher
	covered   func(c partition.Cover, first bool) // called after each cover is stored; first is the delivery's first one

	next    string // the boundary that the next cover starts at
	begunAt string // where the last cover ended when the delivery began, "" before the first one
	at      string // where the last cover ends now
}

// resume goes on after the last cover of earlier deliveries.
func (w *coverWriter) resume(last partition.Cover) { w.at, w.begunAt = last.Upto, last.Upto }

// write publishes the cover of a stored range.
func (w *coverWriter) write(ctx context.Context, r partition.RangeMetadata) error {
	return w.publish(ctx, partition.Cover{Span: partition.Span{After: w.next, Upto: r.MaxKey}, Range: &r})
}

// end publishes the last cover of a partition whose listing came to its end.
func (w *coverWriter) end(ctx context.Context, owned *partition.Owned) error {
	c := owned.End(w.next)
	if c.Empty() {
		return nil
	}
	return w.publish(ctx, c)
}

func (w *coverWriter) publish(ctx context.Context, c partition.Cover) error {
	if err := w.publisher.cover(ctx, c); err != nil {
		return err
	}
	first := !w.advanced()
	w.next, w.at = c.Upto, c.Upto
	w.covered(c, first)
	return nil
}

// advanced reports whether this delivery got further than those before it.
func (w *coverWriter) advanced() bool { return w.at != w.begunAt }
