package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// slot is room for one partition.
type slot struct {
	lane   queue.Lane
	puller *queue.Puller
	asks   atomic.Bool            // the puller pulls
	has    atomic.Pointer[string] // the import of its partition; nil if it has none
	moved  clock                  // when its partition got further, or it looked for room in vain
	hungry atomic.Bool            // its partition waits for its store more than for this process
}

func (w *Worker) addSlot(lane queue.Lane) {
	s := &slot{lane: lane, puller: w.cfg.Queue.Puller(lane)}
	s.free(w.now())
	w.slots = append(w.slots, s)
}

// take notes that the slot has a partition. Nothing of it is listed yet, so it
// waits.
func (s *slot) take(t *queue.Task, now time.Time) {
	s.moved.set(now)
	s.hungry.Store(true)
	s.has.Store(&t.Partition.ImportID)
}

func (s *slot) free(now time.Time) {
	s.moved.set(now)
	s.has.Store(nil)
}

func (s *slot) busy() bool { return s.has.Load() != nil }

// restFor is how often a slot that does not ask looks for room, and askFor for how
// long it asks for a partition that it has heard of.
const (
	restFor = 50 * time.Millisecond
	askFor  = time.Second
)

// errNone says that the partition was somebody else's.
var errNone = errors.New("the partition that was heard of is gone")

// ask waits for a partition for the slot until ctx ends.
//
// Whoever asks for one of bulk is taken to be idle, and other partitions are cut for
// it. So of the slots of bulk one asks at a time, and none that could not make the
// import any faster: while a partition of this process waits for its store, a
// second one would take its LIST calls from it. It is asked for only to be fair, if
// it is of another import.
func (w *Worker) ask(ctx context.Context, s *slot) (*queue.Task, error) {
	if s.lane == queue.Express {
		return s.pull(ctx)
	}
	for ctx.Err() == nil {
		select {
		case w.turn <- struct{}{}:
			task, err := w.askInTurn(ctx, s)
			<-w.turn
			if !errors.Is(err, errNone) {
				return task, err
			}
		default:
		}
		s.moved.set(w.now())
		wait(ctx, restFor)
	}
	return nil, fmt.Errorf("wait for room: %w", ctx.Err())
}

func (w *Worker) askInTurn(ctx context.Context, s *slot) (*queue.Task, error) {
	if w.hasRoom() {
		w.outlook.Prompt()
		return s.pull(ctx)
	}
	load, _ := w.outlook.Latest()
	if load.Next == "" || w.worksOn(load.Next) {
		return nil, errNone
	}
	brief, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	task, err := s.pull(brief)
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		return nil, errNone
	}
	return task, err
}

func (s *slot) pull(ctx context.Context) (*queue.Task, error) {
	s.asks.Store(true)
	defer s.asks.Store(false)
	return s.puller.Pull(ctx)
}

// hasRoom reports whether no partition of bulk that this process has waits for its
// store.
func (w *Worker) hasRoom() bool {
	for _, s := range w.slots {
		if s.lane == queue.Bulk && s.busy() && s.hungry.Load() {
			return false
		}
	}
	return true
}

func (w *Worker) worksOn(importID string) bool {
	for _, s := range w.slots {
		if id := s.has.Load(); id != nil && *id == importID {
			return true
		}
	}
	return false
}

// pace compares how long a listing waits for its store with how long its batches
// take.
type pace struct {
	slot *slot
	at   time.Time
	more float64 // seconds that it waits longer, a moving average
}

func (p *pace) waited(now time.Time) { p.add(now, 1) }

func (p *pace) worked(now time.Time) {
	p.add(now, -1)
	p.slot.moved.set(now)
	p.slot.hungry.Store(p.more > 0)
}

func (p *pace) add(now time.Time, sign float64) {
	const of = 16
	p.more += (sign*now.Sub(p.at).Seconds() - p.more) / of
	p.at = now
}

// clock is a moment that is set by one goroutine and read by others.
type clock struct{ at atomic.Pointer[time.Time] }

func (c *clock) set(t time.Time) { c.at.Store(&t) }

// since returns how long before now the clock was set; 0 if it never was.
func (c *clock) since(now time.Time) time.Duration {
	if at := c.at.Load(); at != nil {
		return now.Sub(*at)
	}
	return 0
}
