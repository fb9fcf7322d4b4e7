package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// holdsTenths is for how many tenths of its AckWait a task is held without a confirmed
// heartbeat. That leaves room for a NATS cluster that elects a leader.
const holdsTenths = 7

// hold is whether a delivery may be taken for this process's own. Its clock goes
// on while the process does not: one that was frozen finds that it has lost its
// partitions before it does anything about them. It is safe for concurrent use.
type hold struct {
	now   func() time.Time
	limit time.Duration // after the last confirmed heartbeat

	mu        sync.Mutex
	confirmed time.Time
	lost      bool
}

// check returns errLost once no heartbeat was confirmed for too long. It stays
// lost then: a heartbeat that is confirmed later says nothing of who has the
// partition.
func (h *hold) check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost = h.lost || h.now().Sub(h.confirmed) > h.limit; h.lost {
		return errLost
	}
	return nil
}

// confirm notes that a heartbeat which was sent at a moment was confirmed.
func (h *hold) confirm(sent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.confirmed = sent
}

// guard keeps the delivery alive with heartbeats, and stops it when it is lost,
// the import has ended, or it gets no further. It returns when ctx ends.
func (d *delivery) guard(ctx context.Context, changed <-chan struct{}, stop context.CancelCauseFunc) {
	beat := time.NewTicker(d.task.Heartbeat())
	defer beat.Stop()
	var v vigil
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			d.beat(stop)
			d.watch(&v, stop)
			d.stopIfOver(ctx, stop)
		case <-changed:
			d.stopIfOver(ctx, stop)
		}
	}
}

// beat sends a heartbeat, unless the delivery must not go on.
func (d *delivery) beat(stop context.CancelCauseFunc) {
	if err := d.hold.check(); err != nil {
		stop(err)
		return
	}
	if d.inVain() > d.stuck {
		stop(errStuck)
		return
	}
	sent := d.now()
	if err := d.task.Extend(); err == nil {
		d.hold.confirm(sent)
	} else if err := d.hold.check(); err != nil {
		stop(err)
	}
}

// stopIfOver stops a delivery whose import has ended. Where its state cannot be
// read, the delivery goes on: what it does is harmless.
func (d *delivery) stopIfOver(ctx context.Context, stop context.CancelCauseFunc) {
	ctx, cancel := context.WithTimeout(ctx, d.task.Heartbeat())
	defer cancel()
	record, err := d.cfg.Imports.Get(ctx, d.task.Partition.ImportID)
	if over(record, err) {
		stop(errOver)
	} else if err != nil && !errors.Is(err, context.Canceled) {
		d.cfg.Log.Debug("look at an import", "import_id", d.task.Partition.ImportID, "err", err)
	}
}

// over tells of what was read of an import whether it needs no partitions any
// more. One whose record cannot be decoded does not: if somebody mends it, its
// coordinator finds what is missing.
func over(r imports.Record, err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) || err == nil && r.State != imports.Running
}
