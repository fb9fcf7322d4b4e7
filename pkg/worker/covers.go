package worker

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

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
