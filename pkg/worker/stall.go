package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// A partition that waits for a store in vain holds a slot that others could use. While
// others wait, it gives way once its patience is over, comes again after a pause, and is
// a suspect from then on, until it gets further. Of the suspects of one store the fleet
// tries one at a time, so that a store that hangs holds one slot of all, and that for
// half of the time at most. What gives way does not count as a failed try; all the time
// that a partition waited in vain does, as the same time at one go would.
const (
	quietAfter  = 10 * time.Second // a wait of so long is told of the import
	quietAgain  = time.Minute      // and told again, as what is told is forgotten
	maxPatience = 200 * time.Second
	keepStall   = 10 * time.Minute // what is known of a store is kept for so long
	slowFactor  = 2                // patience with a store is so many times its slowest answer of late
)

// topicStalled is where workers tell that a store stalls.
const topicStalled = "stalled"

// stallWord says for how long no suspect of a store is to be tried; 0 is that it answers
// again.
type stallWord struct {
	Store string        `json:"store"`
	For   time.Duration `json:"for"` // nanoseconds
}

// stalled is how a delivery ends that gives way because a store did not answer, or
// that was not begun for that.
type stalled struct {
	wait  wait
	held  time.Duration // for how long it waited; 0 if it was not begun
	pause time.Duration // until it is to be tried again
}

func (s *stalled) Error() string {
	if s.held == 0 {
		return fmt.Sprintf("they wait for %s, which did not answer, and are tried again in %v", s.wait.what, s.pause.Round(time.Second))
	}
	return fmt.Sprintf("they waited for %s for %v in vain, and let others go first for %v", s.wait.what, s.held.Round(time.Second), s.pause.Round(time.Second))
}

// stalls is what is known of stores that did not answer, or late. It is safe for
// concurrent use. The zero stalls know of none.
type stalls struct {
	mu     sync.Mutex
	stores map[string]stall
}

// stall is what is known of one store.
type stall struct {
	until   time.Time     // no suspect is tried before
	slowest time.Duration // answer of late
	noted   time.Time     // when any of this was noted
}

// change changes what is known of a store, and forgets what is long ago.
func (s *stalls) change(store string, now time.Time, f func(*stall)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.stores, func(_ string, old stall) bool { return now.Sub(old.noted) > keepStall })
	of := s.stores[store]
	f(&of)
	of.noted = now
	if s.stores == nil {
		s.stores = make(map[string]stall)
	}
	s.stores[store] = of
}

// hold has no suspect of the store tried for so long.
func (s *stalls) hold(store string, now time.Time, d time.Duration) {
	s.change(store, now, func(of *stall) { of.until = now.Add(d) })
}

// try claims the turn to try a suspect of the store for so long, or returns how long
// others have it.
func (s *stalls) try(store string, now time.Time, d time.Duration) (others time.Duration) {
	s.change(store, now, func(of *stall) {
		if others = of.until.Sub(now); others <= 0 {
			others, of.until = 0, now.Add(d)
		}
	})
	return others
}

// slow notes an answer that took long.
func (s *stalls) slow(store string, now time.Time, took time.Duration) {
	s.change(store, now, func(of *stall) { of.slowest = max(of.slowest, took) })
}

// slowest returns the longest that an answer of the store took of late, of those that
// took long.
func (s *stalls) slowest(store string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stores[store].slowest
}

func (w *Worker) hearStall(data []byte) {
	var s stallWord
	if json.Unmarshal(data, &s) == nil && s.Store != "" {
		w.stalls.hold(s.Store, w.now(), min(s.For, 2*maxPatience))
	}
}

// holdSuspects has no worker try a suspect of the store for so long.
func (w *Worker) holdSuspects(store string, d time.Duration) {
	w.stalls.hold(store, w.now(), d) // even if it hears nothing
	w.say(topicStalled, stallWord{store, d})
}

// answered notes that a store answered a call after a time.
func (w *Worker) answered(store string, after time.Duration) {
	if after > w.cfg.Stall {
		w.stalls.slow(store, w.now(), after)
	}
}

// patience is for how long a partition waits for a store while others wait: longer if it
// has waited before, and if the store is slow.
func (w *Worker) patience(store string, waited time.Duration) time.Duration {
	return min(max(w.cfg.Stall, waited, slowFactor*w.stalls.slowest(store)), maxPatience)
}

// othersWait reports whether another partition could use the delivery's slot. Of
// express nobody knows what is pending, but where a slot is left, none needs this one.
func (d *delivery) othersWait() bool {
	if d.slot.lane == queue.Express {
		return !slices.ContainsFunc(d.slots, func(s *slot) bool { return s.lane == queue.Express && !s.busy() })
	}
	load, _ := d.outlook.Latest()
	return load.Next != ""
}

// progressed reports whether the delivery got further, if only by a page.
func (d *delivery) progressed(now time.Time) bool {
	return d.slot.moved.since(now) < d.slot.taken.since(now)
}

// suspicion is for how long a partition waited in vain, in deliveries that gave way
// since it got further or a try failed, and for which store at last. It is safe for
// concurrent use. The zero suspicion is none.
type suspicion struct {
	mu     sync.Mutex
	waited time.Duration
	store  string
}

func (s *suspicion) set(waited time.Duration, store string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited, s.store = waited, store
}

func (s *suspicion) get() (waited time.Duration, store string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waited, s.store
}

// postponed returns a *stalled if the partition is a suspect that it is not the turn
// of, and others wait.
func (d *delivery) postponed() error {
	waited, store := d.suspicion.get()
	if waited == 0 || !d.othersWait() {
		return nil
	}
	patience := d.patience(store, waited)
	if others := d.stalls.try(store, d.now(), patience); others > 0 {
		spread := time.Duration(d.chance() * float64(others)) // else all come back together
		return &stalled{wait: wait{store: store, what: store}, pause: others + spread + time.Second}
	}
	d.say(topicStalled, stallWord{store, patience})
	return nil
}

// vigil is what the guard of a delivery remembers of its looks at what it waits for.
type vigil struct {
	told   time.Time // when a wait was told last; zero if it is over
	judged uint64    // the load by which it was decided last whether to give way
}

// watch looks at whether the delivery waits for a store: it tells so, and has it give
// way to others in time. It is for the guard.
func (d *delivery) watch(v *vigil, stop context.CancelCauseFunc) {
	now := d.now()
	quiet := d.slot.moved.since(now)
	if d.progressed(now) && quiet < d.cfg.Stall {
		d.recover(v)
		return
	}
	longest, ok := d.waits.longest()
	if !ok {
		return // it is no store that keeps it
	}
	if quiet > quietAfter && now.Sub(v.told) > quietAgain {
		v.told = now
		d.report(fmt.Sprintf("wait for %s since %v", longest.what, now.Sub(longest.since).Round(time.Second)))
	}
	waited, _ := d.suspicion.get()
	if quiet > max(d.patience(longest.store, waited), d.toRepeat(now)) && d.othersWait() && d.chosen(v) {
		stop(&stalled{wait: longest, held: quiet, pause: min(max(quiet, d.cfg.Stall), maxPatience)})
	}
}

// toRepeat returns how long whoever is given the partition next takes to come to where
// this delivery is. A walk begins anew, so it waits for as long as it has walked: else one
// that takes hours never ends where a store hangs for a moment every few minutes.
func (d *delivery) toRepeat(now time.Time) time.Duration {
	if !d.walks.Load() {
		return 0
	}
	return d.slot.taken.since(now) - d.slot.moved.since(now)
}

// chosen reports whether this delivery gives way. As many deliveries do as partitions
// wait. It decides once for each load that is heard.
func (d *delivery) chosen(v *vigil) bool {
	load, heard := d.outlook.Latest()
	if heard == v.judged {
		return false
	}
	v.judged = heard
	return d.slot.lane == queue.Express || d.elected(load.Pending, load.Running)
}

// recover notes that the partition got further.
func (d *delivery) recover(v *vigil) {
	waited, store := d.suspicion.get()
	if waited > 0 {
		d.holdSuspects(store, 0)
	}
	if waited > 0 || !v.told.IsZero() {
		d.report("")
	}
	d.suspicion.set(0, "")
	v.told = time.Time{}
}

// inVain returns for how long the partition has waited without getting further, in this
// delivery and in those before it that gave way.
func (d *delivery) inVain() time.Duration {
	now := d.now()
	quiet := d.slot.moved.since(now)
	if waited, _ := d.suspicion.get(); !d.progressed(now) {
		quiet += waited
	}
	return quiet
}

// giveWay gives a partition back that was stalled. This delivery does not count as one
// that got no further, but its time does.
func (d *delivery) giveWay(ctx context.Context, log *slog.Logger, s *stalled) error {
	note := queue.Tries{At: d.at, Waited: s.held, For: s.wait.store}
	if d.at == d.begunAt {
		note.Count, note.Refused = d.tries-1, d.refused
	}
	if waited, _ := d.suspicion.get(); !d.progressed(d.now()) {
		note.Waited += waited
	}
	if s.held > 0 {
		d.holdSuspects(s.wait.store, s.pause)
	}
	log.Info("partition lets others go first", "delay", s.pause, "waited", note.Waited, "err", s)
	d.report(s.Error())
	return errors.Join(d.note(ctx, note), d.task.Nak(ctx, s.pause))
}

// report tells coordinators what becomes of the partition's keys; "" is that it gets on.
func (d *delivery) report(text string) {
	p := d.task.Partition
	t := queue.Trouble{ImportID: p.ImportID, PartitionID: p.ID}
	if text != "" {
		t.Text = fmt.Sprintf("the keys %v: %s", p.Span, text)
	}
	if err := d.cfg.Queue.TellTrouble(t); err != nil {
		d.cfg.Log.Debug("tell of trouble", "import_id", p.ImportID, "err", err)
	}
}
