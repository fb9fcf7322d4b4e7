package worker

import (
	"sync"
	"time"
)

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
