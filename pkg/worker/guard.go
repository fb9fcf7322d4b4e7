package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// guard keeps a delivery alive with heartbeats while it is worked on, and stops it
// when its partition is lost, its import has ended, or it makes no progress.
type guard struct {
	task      *queue.Task
	imports   *imports.Store
	ownership *ownership
	stall     *stallWatch
	stuck     time.Duration // a delivery without progress for so long is given up
	now       func() time.Time
	log       *slog.Logger
	stop      context.CancelCauseFunc // stops the delivery
}

// run guards the delivery until ctx ends. changed signals that the import's record
// has changed.
func (g *guard) run(ctx context.Context, changed <-chan struct{}) {
	tick := time.NewTicker(g.task.Heartbeat())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.heartbeat()
			if err := g.stall.check(); err != nil {
				g.stop(err)
			}
			g.checkImport(ctx)
		case <-changed:
			g.checkImport(ctx)
		}
	}
}

// heartbeat sends a heartbeat, unless the delivery must not go on.
func (g *guard) heartbeat() {
	if err := g.ownership.check(); err != nil {
		g.stop(err)
		return
	}
	if g.stall.waitedInVain() > g.stuck {
		g.stop(errStuck)
		return
	}
	sent := g.now()
	if err := g.task.Extend(); err == nil {
		g.ownership.confirm(sent)
	} else if err := g.ownership.check(); err != nil {
		g.stop(err)
	}
}

// checkImport stops a delivery whose import has ended. If the record cannot be
// read, the delivery goes on: it does no harm.
func (g *guard) checkImport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.task.Heartbeat())
	defer cancel()
	record, err := g.imports.Get(ctx, g.task.Partition.ImportID)
	if over(record, err) {
		g.stop(errOver)
	} else if err != nil && !errors.Is(err, context.Canceled) {
		g.log.Debug("read the record of an import", "err", err)
	}
}

// over reports whether an import needs no partitions any more, by what was read of its
// record. An import whose record cannot be decoded does not: once the record is
// repaired, its coordinator finds what is missing.
func over(r imports.Record, err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) || err == nil && r.State != imports.Running
}
