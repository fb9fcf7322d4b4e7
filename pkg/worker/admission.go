package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// Timing of the slots of bulk. A slot looks for room often, since LIST calls begin and
// end all the time. A brief pull lasts long enough to get a partition that was pending.
const (
	getReady    = time.Second // a listing starts with one LIST, and may need few for so long
	lookForRoom = 25 * time.Millisecond
	roomFor     = 2               // looks in a row that must find room
	pullFor     = 5 * time.Second // NATS takes no request that ends before its second heartbeat
	turnEvery   = 5 * time.Second // how often a slot that waits for its turn shows that it is alive
)

// next waits for a partition for the slot until ctx ends.
//
// While a slot waits in a pull from bulk it counts as idle, and partitions are cut for
// it. So only one slot of bulk pulls at a time. While the process has most of its LIST
// calls in flight, no slot pulls: a second partition would only take calls from the
// first. The exception is fairness: a slot then still pulls a partition of another
// import.
func (w *Worker) next(ctx context.Context, s *slot) (*queue.Task, error) {
	if s.lane == queue.Express {
		return w.pull(ctx, s)
	}
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		s.progress.set(w.now())
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for room: %w", ctx.Err())
		case <-tick.C:
		case w.turn <- struct{}{}:
			defer func() { <-w.turn }()
			return w.waitInTurn(ctx, s)
		}
	}
}

func (w *Worker) waitInTurn(ctx context.Context, s *slot) (*queue.Task, error) {
	for room := 0; ctx.Err() == nil; _ = pause.For(ctx, lookForRoom) {
		s.progress.set(w.now())
		if room++; !w.hasRoom() {
			room = 0
		}
		switch load, _ := w.load.Last(); {
		case w.refusals.avoids():
		case room >= roomFor || !w.slots.workOn(""):
			w.load.Prompt()
			return w.pull(ctx, s)
		case w.isFair(load), w.refusals.takesRefused():
			task, err := w.pullBriefly(ctx, s)
			if task != nil || err != nil {
				return task, err
			}
		}
	}
	return nil, fmt.Errorf("wait for room: %w", ctx.Err())
}

// pull waits for a partition and takes it.
func (w *Worker) pull(ctx context.Context, s *slot) (*queue.Task, error) {
	s.pulling.Store(true)
	defer s.pulling.Store(false)
	task, err := s.puller.Pull(ctx)
	if task != nil {
		s.take(task, w.now()) // before another slot has its turn
	}
	return task, err
}

// pullBriefly is pull for pullFor. It returns nil if there was nothing.
func (w *Worker) pullBriefly(ctx context.Context, s *slot) (*queue.Task, error) {
	brief, cancel := context.WithTimeout(ctx, pullFor)
	defer cancel()
	task, err := w.pull(brief, s)
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return task, err
}

// hasRoom reports whether the process could list another partition besides those of
// bulk that it has.
func (w *Worker) hasRoom() bool {
	return !w.cfg.Busy() && !w.slots.any(queue.Bulk, func(s *slot) bool {
		return s.busy() && !s.listed.Load() && s.taken.since(w.now()) < getReady
	})
}

// isFair reports whether to take a pending partition although there is no room: one
// of another import. If more partitions are pending than running, not all of them
// are of this import.
func (w *Worker) isFair(l queue.LaneLoad) bool {
	return l.Next != "" && (!w.slots.workOn(l.Next) || l.Pending > l.Running)
}
