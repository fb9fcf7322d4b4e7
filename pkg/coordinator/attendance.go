package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// missedAfter is how long no worker is heard of before imports tell so: longer than
// it takes to replace one, or to elect leaders of NATS.
const missedAfter = 30 * time.Second

// unlooked is how long a survey of a NATS that answers never takes, with the rest
// after it.
const unlooked = 20 * time.Second

// unattended is the problem of an import whose partitions nobody takes.
const unattended = "no worker is heard of: start workers, or check that they reach NATS and are of this version"

// attendance knows when a worker was heard of last. Those that wait for partitions
// ask NATS, and those that work talk to each other at least every two seconds. The
// zero value has not begun to listen.
type attendance struct {
	mu      sync.Mutex
	outlook *queue.Outlook // nil before listen
	seq     uint64         // of outlook, when it was looked at last
	looked  time.Time      // when that was; zero before the first survey
	last    time.Time      // when a worker was heard of, or nobody had looked for long
}

// listen hears of workers until ctx ends.
func (a *attendance) listen(ctx context.Context, q *queue.Queue) error {
	outlook, err := q.Outlook(ctx, func() bool { return false }) // which never asks by itself
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outlook = outlook
	return nil
}

// note takes down whether workers were there when a survey was taken.
func (a *attendance) note(seen queue.Survey, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	heard := seen.Waiting > 0 || now.Sub(a.looked) >= unlooked // then they may have been there
	if a.outlook != nil {
		_, seq := a.outlook.Latest()
		heard, a.seq = heard || seq != a.seq, seq
	}
	if a.looked = now; heard {
		a.last = now
	}
}

// missed reports whether no worker was heard of for long, though surveys were taken
// all the time.
func (a *attendance) missed(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.outlook != nil && now.Sub(a.looked) < unlooked && now.Sub(a.last) >= missedAfter
}
