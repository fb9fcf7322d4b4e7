package worker

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/covers"
)

// tries counts the deliveries of a partition in a row that got no further, this
// one included, and notes them for the next delivery. The first delivery notes
// nothing; the second one counts it. A delivery that was handed back is not counted.
// tries is for one goroutine; only the suspicion is shared.
type tries struct {
	publisher *publisher
	covers    *coverWriter // knows whether this delivery got further
	worker    string       // that this delivery is on

	read      bool                      // what earlier deliveries noted is known
	count     int                       // at least 1
	refused   []string                  // in these deliveries, the workers that a store refused the keys to; one entry per refusal
	suspicion atomic.Pointer[suspicion] // never nil
}

// readNote takes over what earlier deliveries noted, and returns where they cut the
// partition, "" if they did not. It returns errFatal if too many deliveries in a row
// got no further and could not even say why.
func (a *tries) readNote(ctx context.Context) (cut string, err error) {
	p := a.publisher.partition
	noted, found, err := a.publisher.backend.Covers.Tries(ctx, p.ImportID, p.ID)
	if err != nil {
		return "", err
	}
	a.read = true
	switch {
	case !found && a.covers.begunAt == "":
		a.count = 2
	case found && noted.At == a.covers.begunAt:
		a.count, a.refused = noted.Count+1, noted.Refused
		a.suspicion.Store(&suspicion{noted.Waited, noted.For})
	}
	if a.count > maxDeaths {
		return noted.Cut, fmt.Errorf("after %d tries in a row: %w", a.count-1, errFatal)
	}
	return noted.Cut, nil
}

// note stores that this delivery got no further. A later note replaces it.
func (a *tries) note(ctx context.Context) error { return a.publisher.note(ctx, a.current()) }

// current is what is to be noted of a delivery before it gets further.
func (a *tries) current() covers.Tries {
	suspect := a.suspicion.Load()
	return covers.Tries{Count: a.count, At: a.covers.begunAt, Refused: a.refused, Waited: suspect.waited, For: suspect.store}
}

// noteHandedBack notes that this delivery does not count.
func (a *tries) noteHandedBack(ctx context.Context) error {
	if !a.read || a.covers.advanced() {
		return nil
	}
	t := a.current()
	t.Count--
	return a.publisher.note(ctx, t)
}

// noteFailed clears the time that the partition waited in earlier deliveries: this failed
// delivery is counted instead.
func (a *tries) noteFailed(ctx context.Context) error {
	if a.suspicion.Load().waited == 0 || a.covers.advanced() {
		return nil
	}
	a.suspicion.Store(new(suspicion))
	return a.note(ctx)
}

// noteStalled notes that the partition gave way after it waited in vain for a store.
// This delivery does not count as one that got no further, but its time does.
func (a *tries) noteStalled(ctx context.Context, waited time.Duration, store string) error {
	t := covers.Tries{At: a.covers.at, Waited: waited, For: store}
	if !a.covers.advanced() {
		t.Count, t.Refused = a.count-1, a.refused
	}
	return a.publisher.note(ctx, t)
}

// noteRefused notes that a store refused the keys to this worker.
func (a *tries) noteRefused(ctx context.Context) error {
	t := covers.Tries{At: a.covers.at, Refused: a.refusedTo()}
	if !a.covers.advanced() {
		t.Count = a.count
	}
	return a.publisher.note(ctx, t)
}

// fruitless returns how many deliveries in a row, with this one, got no further.
func (a *tries) fruitless() int {
	if a.covers.advanced() {
		return 1
	}
	return a.count
}

// refusedTo returns, in order, the workers that a store refused these keys to in a row.
// The last one is this worker.
func (a *tries) refusedTo() []string {
	if a.covers.advanced() { // the others were refused earlier keys
		return []string{a.worker}
	}
	return append(slices.Clone(a.refused), a.worker)
}

// refusalConfirmed reports whether a store refuses the keys not just to this worker,
// whose credentials or place may be wrong: it refused them to another one, too, or
// no other worker has taken the partition for half a minute.
func (a *tries) refusalConfirmed() bool {
	to := a.refusedTo()
	return to[0] != a.worker || len(to) == maxRefusals
}
