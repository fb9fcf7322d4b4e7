package worker

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// A partition that waits for a store in vain occupies a slot that others could use. While
// others wait, it gives way once its patience is over, and is tried again after a
// pause. From then on it is a suspect until it gets further. The fleet tries one suspect
// of a store at a time, so that a store that hangs occupies one slot of the
// fleet, for half of the time at most. Giving way does not count as a failed try. The time
// that a partition waited in vain adds up over its deliveries, and counts as the same
// time in one delivery would.
const (
	reportStallAfter = 10 * time.Second // a wait of so long is reported to the import
	reportStallEvery = time.Minute      // and reported again, since reports are forgotten
	maxPatience      = 200 * time.Second
)

// stalled is how a delivery ends that gives way because a store did not answer, or
// that is not begun because of that.
type stalled struct {
	wait   wait
	waited time.Duration // in vain; 0 if the listing was not begun
	pause  time.Duration // until it is to be tried again
}

func (s *stalled) Error() string {
	if s.waited == 0 {
		return fmt.Sprintf("they wait for %s, which did not answer, and are tried again in %v", s.wait.what, s.pause.Round(time.Second))
	}
	return fmt.Sprintf("they waited for %s for %v in vain, and let others go first for %v", s.wait.what, s.waited.Round(time.Second), s.pause.Round(time.Second))
}

// suspicion is for how long a partition waited in vain, in the deliveries that gave way
// since it got further or a try failed, and for which store it waited last. The zero
// suspicion is none.
type suspicion struct {
	waited time.Duration
	store  string
}

// stallWatch watches whether a delivery gets further, and decides when it gives way to
// others because a store keeps it waiting.
type stallWatch struct {
	d     *delivery
	walks atomic.Bool // the next delivery would begin with the first key

	// Of check:
	reported time.Time // when a wait was reported last; zero if it is over
	decided  uint64    // number of the load for which it last decided whether to give way
}

// check reports what the delivery waits for, and returns a *stalled once it is to give
// way. It is for the guard's goroutine.
func (s *stallWatch) check() error {
	now := s.d.worker.now()
	idle := s.d.slot.progress.since(now)
	if s.progressed(now) && idle < s.d.worker.stalls.limit {
		s.recovered()
		return nil
	}
	longest, ok := s.d.waits.longest()
	if !ok {
		return nil // it does not wait for a store
	}
	if idle > reportStallAfter && now.Sub(s.reported) > reportStallEvery {
		s.reported = now
		s.d.publisher.problem(fmt.Sprintf(": wait for %s since %v", longest.what, now.Sub(longest.since).Round(time.Second)))
	}
	waited := s.d.tries.suspicion.Load().waited
	if idle > max(s.d.worker.stalls.patience(longest.store, waited), s.toRepeat(now)) && s.othersWait() && s.chosen() {
		return &stalled{wait: longest, waited: idle, pause: min(max(idle, s.d.worker.stalls.limit), maxPatience)}
	}
	return nil
}

// recovered notes that the partition got further.
func (s *stallWatch) recovered() {
	suspect := s.d.tries.suspicion.Load()
	if suspect.waited > 0 {
		s.d.worker.stalls.postpone(suspect.store, 0)
	}
	if suspect.waited > 0 || !s.reported.IsZero() {
		s.d.publisher.problem("")
	}
	s.d.tries.suspicion.Store(new(suspicion))
	s.reported = time.Time{}
}

// postponed returns a *stalled if the partition is a suspect, another suspect of its
// store has the turn, and others wait for the slot. Otherwise a suspect has the turn.
func (s *stallWatch) postponed() error {
	suspect := s.d.tries.suspicion.Load()
	if suspect.waited == 0 || !s.othersWait() {
		return nil
	}
	store := suspect.store
	others := s.d.worker.stalls.takeTurn(store, s.d.worker.stalls.patience(store, suspect.waited))
	if others == 0 {
		return nil
	}
	spread := time.Duration(s.d.worker.chance() * float64(others)) // else all suspects come back together
	return &stalled{wait: wait{store: store, what: store}, pause: others + spread + time.Second}
}

// progressed reports whether the delivery got further, if only by a page.
func (s *stallWatch) progressed(now time.Time) bool {
	return s.d.slot.progress.since(now) < s.d.slot.taken.since(now)
}

// waitedInVain returns for how long the partition has got no further, in this
// delivery and in those before it that gave way.
func (s *stallWatch) waitedInVain() time.Duration {
	now := s.d.worker.now()
	idle := s.d.slot.progress.since(now)
	if !s.progressed(now) {
		idle += s.d.tries.suspicion.Load().waited
	}
	return idle
}

// toRepeat returns how long the next delivery would take to come to where this one is.
// A walk starts over, so it waits for as long as it has walked: otherwise a walk
// that takes hours would never end while a store hangs for a moment every few minutes.
func (s *stallWatch) toRepeat(now time.Time) time.Duration {
	if !s.walks.Load() {
		return 0
	}
	return s.d.slot.taken.since(now) - s.d.slot.progress.since(now)
}

// othersWait reports whether another partition could use the slot. How many partitions are
// pending in the express lane is not known; while another slot of it is idle, none are.
func (s *stallWatch) othersWait() bool {
	if s.d.slot.lane == queue.Express {
		return !s.d.worker.slots.any(queue.Express, (*slot).idle)
	}
	load, _ := s.d.worker.load.Last()
	return load.Next != ""
}

// chosen reports whether this delivery is one of those that give way: as many do as
// partitions wait. It decides once for each load that is received.
func (s *stallWatch) chosen() bool {
	load, seq := s.d.worker.load.Last()
	if seq == s.decided {
		return false
	}
	s.decided = seq
	return s.d.slot.lane == queue.Express || s.d.worker.chance.elects(load.Pending, load.Running)
}
