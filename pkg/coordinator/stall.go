package coordinator

import (
	"context"
	"time"
)

const (
	// stalledFor is the shortest time without a new cover of an import after which
	// AckWait of its partitions is restarted.
	stalledFor = 30 * time.Second

	// maxResets bounds how many partitions are restarted at a time.
	maxResets = 256
)

// stallTimer knows since when an import has its present number of covers, by the clock of
// this process. The zero value has not started.
type stallTimer struct {
	covers uint64
	since  time.Time
}

// observe returns for how long the number of covers has not changed.
func (t *stallTimer) observe(covers uint64, now time.Time) time.Duration {
	if covers != t.covers || t.since.IsZero() {
		*t = stallTimer{covers, now}
	}
	return now.Sub(t.since)
}

// resetIfStalled restarts AckWait (Queue.ResetAckWait) if no cover came for long although
// a worker waits: a NATS server whose clock was ahead may keep partitions for dead
// workers.
func (g *gapCloser) resetIfStalled(ctx context.Context) error {
	now := g.imp.now()
	stalled := g.sinceLast.observe(g.progress.Count(), now)
	seen := g.watch.last.Load()
	if seen == nil || seen.Waiting == 0 || stalled < max(stalledFor, 2*g.queue.AckWait()) {
		return nil
	}
	g.sinceLast.since = now
	ids := seen.Partitions[g.imp.id] // in random order, so that each one has its turn in time
	return g.queue.ResetAckWait(ctx, g.imp.id, ids[:min(len(ids), maxResets)])
}
