package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

const (
	// missingAfter is the time without a sign of a worker after which imports report it:
	// longer than it takes to replace a worker, or to elect leaders of NATS.
	missingAfter = 30 * time.Second

	// surveysWithin is more than the longest time between two surveys while NATS answers.
	surveysWithin = 20 * time.Second

	// noWorkers is the problem of an import whose partitions no worker takes.
	noWorkers = "no worker is heard of: start workers, or check that they reach NATS and are of this version"
)

// workerPresence knows when there was the last sign of a worker. Workers that wait for
// partitions ask NATS, and those that work tell each other the load at least every two
// seconds. Its methods may be called concurrently. The zero value does not listen yet.
type workerPresence struct {
	mu   sync.Mutex
	load *queue.LoadWatch // nil before listen
	seq  uint64           // of load, at the last survey
	at   time.Time        // of the last survey; zero before the first
	sign time.Time        // when there was a sign of a worker, or no survey for long
}

// listen listens to workers until ctx ends.
func (w *workerPresence) listen(ctx context.Context, b *backend.Backend) error {
	load, err := b.Queue.WatchLoad(ctx, b.Gossip, func() bool { return false }) // which never asks by itself
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.load = load
	return nil
}

// note records whether there was a sign of a worker since the survey before.
func (w *workerPresence) note(seen queue.Survey, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sign := seen.Waiting > 0 || now.Sub(w.at) >= surveysWithin // then there may have been one
	if w.load != nil {
		_, seq := w.load.Last()
		sign, w.seq = sign || seq != w.seq, seq
	}
	if w.at = now; sign {
		w.sign = now
	}
}

// missing reports whether there was no sign of a worker for long, though surveys were
// taken all the time.
func (w *workerPresence) missing(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load != nil && now.Sub(w.at) < surveysWithin && now.Sub(w.sign) >= missingAfter
}
