package coordinator

import (
	"context"
	"time"
)

// quietFor is for how long no cover of an import comes, at least, before its
// partitions are freed of clocks that were ahead; see queue.Recount.
const quietFor = 30 * time.Second

// mostFreed bounds how many partitions are freed at a time.
const mostFreed = 256

// quiet is since when there is a number of covers, by this process's clock.
type quiet struct {
	covers uint64
	since  time.Time
}

// freeIfQuiet has NATS count anew for how long partitions are somebody's, if nothing came
// of the import for long though somebody waits for partitions: one may be kept for those
// that are gone by the clock of a NATS server that was ahead.
func (d *driver) freeIfQuiet(ctx context.Context) error {
	seen, covers, now := d.survey.Load(), d.progress.count(), d.cfg.Now()
	if covers != d.quiet.covers || d.quiet.since.IsZero() {
		d.quiet = quiet{covers, now}
	}
	if seen == nil || seen.Waiting == 0 || now.Sub(d.quiet.since) < max(quietFor, 2*d.cfg.Queue.AckWait()) {
		return nil
	}
	d.quiet.since = now
	ids := seen.Partitions[d.id] // in any order: in time each one has its turn
	return d.cfg.Queue.Recount(ctx, d.id, ids[:min(len(ids), mostFreed)])
}
