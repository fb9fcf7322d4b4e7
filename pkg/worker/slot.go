package worker

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/forecast"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// slot is room for one partition. One goroutine works with it; others read its
// clocks and flags.
type slot struct {
	lane     queue.Lane
	puller   *queue.Puller
	pulling  atomic.Bool            // the puller pulls
	importID atomic.Pointer[string] // of its partition; nil if it has none
	taken    clock                  // when it got its partition
	listed   atomic.Bool            // its partition is listed to the end
	progress clock                  // when its partition got further, or the slot last looked for room

	model   *forecast.KeyModel // of the keys of the import that it worked on last
	modelOf string             // that import
}

// take notes that the slot got a partition.
func (s *slot) take(t *queue.Task, now time.Time) {
	s.progress.set(now)
	s.taken.set(now)
	s.listed.Store(false)
	s.importID.Store(&t.Partition.ImportID)
}

// free notes that the slot is done with its partition.
func (s *slot) free(now time.Time) {
	s.progress.set(now)
	s.importID.Store(nil)
}

// keyModel returns what the slot has learned of the keys of an import. It is for the
// goroutine that lists the slot's partition.
func (s *slot) keyModel(importID string) *forecast.KeyModel {
	if s.model == nil || s.modelOf != importID {
		s.model, s.modelOf = new(forecast.KeyModel), importID
	}
	return s.model
}

func (s *slot) busy() bool { return s.importID.Load() != nil }
func (s *slot) idle() bool { return !s.busy() }

// reached reports whether the work queue has answered the slot.
func (s *slot) reached() bool { return s.busy() || s.puller.Answered() }

// slots are all slots of a worker.
type slots []*slot

// any reports whether such holds for a slot of the lane.
func (s slots) any(lane queue.Lane, such func(*slot) bool) bool {
	return slices.ContainsFunc(s, func(s *slot) bool { return s.lane == lane && such(s) })
}

// workOn reports whether a slot of bulk has a partition of the import, or of any
// import if importID is empty.
func (s slots) workOn(importID string) bool {
	return s.any(queue.Bulk, func(s *slot) bool {
		id := s.importID.Load()
		return id != nil && (importID == "" || *id == importID)
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
