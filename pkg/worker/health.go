package worker

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// stuck is for how long a slot may seem to do nothing: a pull that does not come
// round, a partition that gets no further. The longest that either does at work
// is less by far: a store that does not answer is an error after some minutes.
const stuck = 10 * time.Minute

// health is what a worker knows of itself. It is safe for concurrent use.
type health struct {
	mu      sync.Mutex
	running bool
	refused error // why the fleet's queue cannot be used
}

func (h *health) run() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
}

func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
}

// agree notes whether this worker and the fleet speak one version.
func (h *health) agree(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = err
}

// Ready returns nil while the worker takes partitions: it runs, NATS is reached and
// answers, and the queue is there and of the same version. Otherwise it tells why it does
// not.
func (w *Worker) Ready() error {
	w.health.mu.Lock()
	running, refused := w.health.running, w.health.refused
	w.health.mu.Unlock()
	unusable := w.cfg.Queue.Err()
	switch {
	case !running:
		return errors.New("no partitions are taken: the worker does not run, or is told to stop")
	case unusable != nil:
		return unusable
	case refused != nil:
		return refused
	}
	for _, lane := range []queue.Lane{queue.Bulk, queue.Express} {
		if !slices.ContainsFunc(w.slots, func(s *slot) bool { return s.lane == lane && (s.busy() || s.puller.Bound()) }) {
			return errors.New("the queue of partitions was not reached yet: a coordinator makes it")
		}
	}
	return nil
}

// Live returns nil while every slot comes round, with or without NATS. Otherwise
// only a restart helps.
func (w *Worker) Live() error {
	for i, s := range w.slots {
		idle, what := s.moved.since(w.now()), "does not ask for partitions any more"
		switch {
		case s.busy():
			what = "has a partition that gets no further"
		case s.asks.Load():
			idle = s.puller.Turned()
		}
		if idle > w.stuck {
			return fmt.Errorf("slot %d %s since %v", i, what, idle.Round(time.Second))
		}
	}
	return nil
}
