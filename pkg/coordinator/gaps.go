package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

const (
	maxListings = 10               // how often the same keys are listed because their covers do not chain
	stalledFor  = 30 * time.Second // shortest time without a new cover after which AckWait is restarted
	maxResets   = 256              // how many partitions are restarted at a time
)

// partitionQueue is the part of a queue.Queue that a gapCloser uses.
type partitionQueue interface {
	Publish(ctx context.Context, lane queue.Lane, p partition.Partition) error
	Partitions(ctx context.Context, importID string, ids []string) ([]partition.Partition, error)
	AckWait() time.Duration
	ResetAckWait(ctx context.Context, importID string, ids []string) error
}

// gapCloser queues partitions of one import, and queues again what was lost of them. It
// is for one goroutine.
type gapCloser struct {
	imp      *importHandle
	queue    partitionQueue
	watch    *fleetWatch
	fold     func() (partition.Fold, uint64) // see follow.Progress
	listings map[string]int                  // how often a gap was queued, by its After
	parts    map[string]partition.Partition  // that were queued or running, by ID
	surveyed uint64                          // only surveys of a higher number are used
	finalAt  uint64                          // number of covers at which the end was final; 0 if it never was
	covers   uint64                          // that had come in at the last look, for resetIfStalled
	since    time.Time                       // when their number last changed
}

func newGapCloser(imp *importHandle, queue partitionQueue, watch *fleetWatch, fold func() (partition.Fold, uint64)) *gapCloser {
	return &gapCloser{
		imp: imp, queue: queue, watch: watch, fold: fold,
		listings: make(map[string]int), parts: make(map[string]partition.Partition), surveyed: watch.begun.Load(),
	}
}

// publish queues a partition. Only a survey that begins after it can show that the
// partition is not in the queue.
func (g *gapCloser) publish(ctx context.Context, lane queue.Lane, p partition.Partition) error {
	defer func() { g.surveyed = g.watch.begun.Load() }()
	g.parts[p.ID] = p
	return g.imp.traced(ctx, tracing.Send.Span(queue.Name), func() error { return g.queue.Publish(ctx, lane, p) },
		append(tracing.Send.On(queue.Name, queue.Subjects, ""), tracing.With(tracing.PartitionID.String(p.ID)))...)
}

// close queues each gap that no partition, queued or running, will cover. This one rule
// repairs all that is lost between two steps of any process.
func (g *gapCloser) close(ctx context.Context) error {
	fold, covers := g.fold()
	if err := g.queueGaps(ctx, fold, covers); err != nil {
		return err
	}
	return g.resetIfStalled(ctx, covers)
}

func (g *gapCloser) queueGaps(ctx context.Context, fold partition.Fold, covers uint64) error {
	outstanding, known, err := g.surveyedSince(ctx, covers)
	if err != nil || !known {
		return err
	}
	for _, p := range partition.Uncovered(g.imp.id, fold.Gaps, outstanding) {
		if g.listings[p.After] == maxListings {
			return inconsistent{p.Span}
		}
		if err := g.publish(ctx, queue.Bulk, p); err != nil {
			return err
		}
		g.listings[p.After]++
		g.imp.log.InfoContext(ctx, "gap queued again", "span", p.Span.String(), "times", g.listings[p.After])
		g.imp.metrics.gapsClosed.Inc()
	}
	return nil
}

// endIsFinal reports whether no cover that is still to come can contradict the end of a
// fold. A partition that does not own all keys up to the open end may claim that the
// listing ends. Then the partitions that list the keys beyond must have ended: their
// covers come in before they leave the queue. The end stays final until another cover
// comes in.
func (g *gapCloser) endIsFinal(ctx context.Context, fold partition.Fold, covers uint64) (bool, error) {
	if fold.Beyond == "" || covers == g.finalAt {
		return true, nil
	}
	outstanding, known, err := g.surveyedSince(ctx, covers)
	if err != nil || !known {
		return false, err
	}
	beyond := partition.Span{After: fold.Beyond}
	if slices.ContainsFunc(outstanding, func(p partition.Partition) bool { return p.Overlaps(beyond) }) {
		return false, nil
	}
	g.finalAt = covers
	return true, nil
}

// surveyedSince returns the partitions that the last survey saw, queued or running. They
// are known if the survey began after the last change to the queue and no earlier call
// has used it, and if all covers that it counted are among the given number.
func (g *gapCloser) surveyedSince(ctx context.Context, covers uint64) (parts []partition.Partition, known bool, err error) {
	seen := g.watch.last.Load()
	if seen == nil || seen.number <= g.surveyed || covers < seen.Covers[g.imp.id] {
		return nil, false, nil
	}
	g.surveyed = seen.number
	return g.outstanding(ctx, seen.Partitions[g.imp.id])
}

// outstanding returns the partitions of the IDs, which a survey saw. It reports whether
// all of them could be read: of one that has left the queue since, the survey may not
// count all covers. Partitions that were read are kept, since they never change.
func (g *gapCloser) outstanding(ctx context.Context, ids []string) (parts []partition.Partition, all bool, err error) {
	known := make(map[string]partition.Partition, len(ids))
	var unknown []string
	for _, id := range ids {
		if p, ok := g.parts[id]; ok {
			known[id] = p
		} else {
			unknown = append(unknown, id)
		}
	}
	read, err := g.queue.Partitions(ctx, g.imp.id, unknown)
	if err != nil {
		return nil, false, err
	}
	for _, p := range read {
		known[p.ID] = p
	}
	g.parts = known
	return slices.Collect(maps.Values(known)), len(read) == len(unknown), nil
}

// resetIfStalled restarts AckWait (Queue.ResetAckWait) if no cover came for long although
// a worker waits: a NATS server whose clock was ahead may keep partitions for dead
// workers.
func (g *gapCloser) resetIfStalled(ctx context.Context, covers uint64) error {
	now := g.imp.now()
	if covers != g.covers || g.since.IsZero() {
		g.covers, g.since = covers, now
	}
	seen := g.watch.last.Load()
	if seen == nil || seen.Waiting == 0 || now.Sub(g.since) < max(stalledFor, 2*g.queue.AckWait()) {
		return nil
	}
	g.since = now
	ids := seen.Partitions[g.imp.id] // in random order, so that each one has its turn in time
	return g.queue.ResetAckWait(ctx, g.imp.id, ids[:min(len(ids), maxResets)])
}

// inconsistent says that the covers of a span do not chain, however often it is listed.
type inconsistent struct{ span partition.Span }

func (e inconsistent) Error() string {
	return fmt.Sprintf("the keys in %v were listed %d times and never gave ranges that join their neighbours: "+
		"the source changes faster than it can be listed", e.span, maxListings)
}
