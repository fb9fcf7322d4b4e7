package worker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// stuck is for how long a slot may make no progress: a pull that does not return, or
// a partition that gets no further. Both take far less at work, since a store that
// does not answer is an error after some minutes.
const stuck = 10 * time.Minute

// health is what a worker knows of its own state. It is safe for concurrent use.
type health struct {
	mu      sync.Mutex
	running bool
	refused error // why the fleet's queue cannot be used
}

func (h *health) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
}

func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
}

// refuse notes that this worker and the fleet do not speak the same version; nil is
// that they do.
func (h *health) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = err
}

func (h *health) get() (running bool, refused error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running, h.refused
}

// Ready returns nil while the worker takes partitions: it runs, NATS is reached and
// answers, and the queue is there and of the same version. Otherwise it returns why the
// worker does not.
func (w *Worker) Ready() error {
	running, refused := w.health.get()
	unusable := w.cfg.Backend.Conn.Err()
	switch {
	case !running:
		return errors.New("no partitions are taken: the worker does not run, or is told to stop")
	case unusable != nil:
		return unusable
	case refused != nil:
		return refused
	case !w.slots.any(queue.Bulk, (*slot).reached) || !w.slots.any(queue.Express, (*slot).reached):
		return errors.New("the queue of partitions was not reached yet: a coordinator makes it")
	}
	return nil
}

// Live returns nil while every slot makes progress, with or without NATS. Otherwise
// only a restart helps.
func (w *Worker) Live() error {
	for i, s := range w.slots {
		idle, what := s.progress.since(w.now()), "does not ask for partitions any more"
		switch {
		case s.busy():
			what = "has a partition that gets no further"
		case s.pulling.Load():
			idle = s.puller.SinceTry()
		}
		if idle > w.stuck {
			return fmt.Errorf("slot %d %s since %v", i, what, idle.Round(time.Second))
		}
	}
	return nil
}
