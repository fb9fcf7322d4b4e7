package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// stuck is for how long a slot may make no progress: a pull that does not return, or
// a partition that gets no further. Both take far less at work, since a store that
// does not answer is an error after some minutes.
const stuck = 10 * time.Minute

// Ready returns nil while the worker takes partitions: it runs, NATS is reached and
// answers, and the queue is there and of the same version. Otherwise it returns why the
// worker does not.
func (w *Worker) Ready() error {
	unusable, refused := w.cfg.Backend.Conn.Err(), w.refused.Load()
	switch {
	case !w.running.Load():
		return errors.New("no partitions are taken: the worker does not run, or is told to stop")
	case unusable != nil:
		return unusable
	case refused != nil:
		return *refused
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
		if idle > stuck {
			return fmt.Errorf("slot %d %s since %v", i, what, idle.Round(time.Second))
		}
	}
	return nil
}
