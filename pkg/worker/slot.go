package worker

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// slot is room for one partition.
type slot struct {
	lane   queue.Lane
	puller *queue.Puller
	asks   atomic.Bool            // the puller pulls
	has    atomic.Pointer[string] // the import of its partition; nil if it has none
	taken  clock                  // when it got its partition
	ended  atomic.Bool            // nothing of its partition is listed any more
	moved  clock                  // when its partition got further, or it looked for room in vain

	known *partition.Known // of the keys of the import that it worked on last
	about string           // that import
}

func (w *Worker) addSlot(lane queue.Lane) {
	s := &slot{lane: lane, puller: w.cfg.Queue.Puller(lane)}
	s.free(w.now())
	w.slots = append(w.slots, s)
}

func (s *slot) take(t *queue.Task, now time.Time) {
	s.moved.set(now)
	s.taken.set(now)
	s.ended.Store(false)
	s.has.Store(&t.Partition.ImportID)
}

func (s *slot) free(now time.Time) {
	s.moved.set(now)
	s.has.Store(nil)
}

// knows returns what the slot has learned of the keys of an import. It is for whoever
// lists the slot's partition.
func (s *slot) knows(importID string) *partition.Known {
	if s.known == nil || s.about != importID {
		s.known, s.about = new(partition.Known), importID
	}
	return s.known
}

func (s *slot) busy() bool { return s.has.Load() != nil }

// How a slot of bulk finds out whether it is to ask: it looks for room often, for LIST
// calls come and go, and asks for so long for what it has heard of.
const (
	getReady    = time.Second // a listing begins with one LIST, and learns where to make more
	lookForRoom = 25 * time.Millisecond
	roomFor     = 2               // looks in a row
	askFor      = 5 * time.Second // NATS takes no request that ends before its second heartbeat
	inLine      = 5 * time.Second // to show that it comes round, while another slot asks
)

// ask waits for a partition for the slot until ctx ends.
//
// Whoever asks for one of bulk is taken to be idle, and other partitions are cut for
// it. So of the slots of bulk one asks at a time, and none that could not make the
// import any faster: while most of the LIST calls that the process may have in flight
// are, a second partition would take them from the first. It is asked for only to be fair,
// if it is of another import.
func (w *Worker) ask(ctx context.Context, s *slot) (*queue.Task, error) {
	if s.lane == queue.Express {
		return w.pull(ctx, s)
	}
	line := time.NewTicker(inLine)
	defer line.Stop()
	for {
		s.moved.set(w.now())
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for room: %w", ctx.Err())
		case <-line.C:
		case w.turn <- struct{}{}:
			defer func() { <-w.turn }()
			return w.askInTurn(ctx, s)
		}
	}
}

func (w *Worker) askInTurn(ctx context.Context, s *slot) (*queue.Task, error) {
	for room := 0; ctx.Err() == nil; _ = pause.For(ctx, lookForRoom) {
		s.moved.set(w.now())
		if room++; !w.hasRoom() {
			room = 0
		}
		switch load, _ := w.outlook.Latest(); {
		case w.refusals.shies(w.now()):
		case room >= roomFor || !w.worksOn(""):
			w.outlook.Prompt()
			return w.pull(ctx, s)
		case w.isFair(load), w.refusals.helps(w.now()):
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
	s.asks.Store(true)
	defer s.asks.Store(false)
	task, err := s.puller.Pull(ctx)
	if task != nil {
		s.take(task, w.now()) // before another slot has its turn
	}
	return task, err
}

// pullBriefly is pull for askFor. It returns nil if there was nothing.
func (w *Worker) pullBriefly(ctx context.Context, s *slot) (*queue.Task, error) {
	brief, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	task, err := w.pull(brief, s)
	if err != nil && brief.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return task, err
}

// hasRoom reports whether the process could list another partition beside those of
// bulk that it has.
func (w *Worker) hasRoom() bool {
	return !w.cfg.Busy() && !slices.ContainsFunc(w.slots, func(s *slot) bool {
		return s.lane == queue.Bulk && s.busy() && !s.ended.Load() && s.taken.since(w.now()) < getReady
	})
}

// isFair reports whether to take a partition that was pending, though there is no room:
// one of another import, as all cannot be of this one where more wait than are
// worked on.
func (w *Worker) isFair(l queue.Load) bool {
	return l.Next != "" && (!w.worksOn(l.Next) || l.Pending > l.Running)
}

// worksOn reports whether one of the slots of bulk has a partition of the import, or
// of any if that is empty.
func (w *Worker) worksOn(importID string) bool {
	return slices.ContainsFunc(w.slots, func(s *slot) bool {
		id := s.has.Load()
		return s.lane == queue.Bulk && id != nil && (importID == "" || *id == importID)
	})
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
