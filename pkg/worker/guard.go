package worker

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// guard keeps the delivery alive with heartbeats while it is worked on, until ctx ends.
// It returns sooner, with the reason, if the partition is lost, its import has ended, or it
// makes no progress. changed signals that the import's record has changed.
func (d *delivery) guard(ctx context.Context, changed <-chan struct{}) error {
	tick := time.NewTicker(d.task.Heartbeat())
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.reporter.beat()
			err = cmp.Or(d.heartbeat(), d.stall.check(), d.checkImport(ctx))
		case <-changed:
			err = d.checkImport(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// heartbeat sends a heartbeat, or returns why the delivery must not go on.
func (d *delivery) heartbeat() error {
	if err := d.ownership.check(); err != nil {
		return err
	}
	if d.stall.waitedInVain() > stuck {
		return errStuck
	}
	sent := d.worker.now()
	if err := d.task.Extend(); err != nil {
		return d.ownership.check()
	}
	d.ownership.confirm(sent)
	return nil
}

// checkImport returns errOver if the import has ended. If the record cannot be read, the
// delivery goes on: it does no harm.
func (d *delivery) checkImport(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, d.task.Heartbeat())
	defer cancel()
	record, err := d.worker.cfg.Imports.Get(ctx, d.task.Partition.ImportID)
	if over(record, err) {
		return errOver
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		d.log.DebugContext(ctx, "read the record of an import", "err", err)
	}
	return nil
}

// over reports whether an import needs no partitions any more, by what was read of its
// record. An import whose record cannot be decoded does not: once the record is
// repaired, its coordinator finds what is missing.
func over(r imports.Record, err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) || err == nil && r.State != imports.Running
}

// ownedTenths is for how many tenths of its AckWait a delivery owns its partition
// without a confirmed heartbeat. The rest is for a NATS cluster that elects a leader.
const ownedTenths = 7

// ownership is whether a delivery still owns its partition, by the last heartbeat that
// was confirmed. A process that was stopped and continued finds that it has lost
// its partitions before it does anything about them, since the monotonic clock has gone
// on. That clock stands still while a machine is suspended: such a worker may go on
// with a partition that another one has, which costs work and does no harm. It is safe
// for concurrent use.
type ownership struct {
	now   func() time.Time
	limit time.Duration // after the last confirmed heartbeat

	mu        sync.Mutex
	confirmed time.Time
	lost      bool
}

// check returns errLost once no heartbeat was confirmed for too long, and from then
// on: a heartbeat that is confirmed later does not prove ownership.
func (o *ownership) check() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost = o.lost || o.now().Sub(o.confirmed) > o.limit; o.lost {
		return errLost
	}
	return nil
}

// confirm notes that a heartbeat that was sent at that time was confirmed.
func (o *ownership) confirm(sent time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.confirmed = sent
}
