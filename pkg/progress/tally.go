package progress

import (
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Covers are the keys of an import that are in stored ranges, as partition.Chain has them.
type Covers interface {
	// Next returns the cover that starts at a boundary, if there is one.
	Next(after string) (partition.Cover, bool)
	// Overlaps reports whether a cover may hold a key of the span.
	Overlaps(partition.Span) bool
}

// Tally counts what is reported of one import. The zero Tally is that of an import of which
// nothing was reported yet. It is for one goroutine.
type Tally struct {
	listing map[string]*listing // by partition
	waiting map[string]waiting  // by partition
	ahead   sum                 // of what waits

	listed    int64 // the most that a look ever found
	throttles int64
	retries   int64
	sign      time.Time // of the last report
	rate      rate
	refuted   refutation
}

// listing is what is known of a partition that is listed.
type listing struct {
	Report
	at time.Time // when it was reported
}

// waiting is what is known of a partition that waits.
type waiting struct {
	left Guess
	at   time.Time
}

// Take takes in a report that came now. It must be one that Check accepts, and not of the state Again.
func (t *Tally) Take(r Report, now time.Time) {
	before, known := t.listing[r.PartitionID]
	if known && before.Delivery == r.Delivery {
		if r.Number <= before.Number {
			return // late, or sent twice
		}
		t.throttles = max(0, t.throttles-before.Throttles)
		t.retries = max(0, t.retries-before.Retries)
	}
	t.throttles = min(t.throttles+r.Throttles, mostKeys)
	t.retries = min(t.retries+r.Retries, mostKeys)
	t.sign = now
	switch r.State {
	case Listing:
		t.list(r, now)
	case Waiting:
		left := r.Left
		if w, waits := t.waiting[r.PartitionID]; waits && !left.Some { // a delivery that listed nothing learned nothing
			left = w.left
		}
		t.wait(r.PartitionID, left, now)
	case Over:
		t.forget(r.PartitionID)
	case Again: // its keys are reported once they are listed
	}
}

func (t *Tally) list(r Report, now time.Time) {
	t.unwait(r.PartitionID)
	if t.listing == nil {
		t.listing = make(map[string]*listing)
	}
	if _, known := t.listing[r.PartitionID]; known || len(t.listing) < limits.Listing {
		t.listing[r.PartitionID] = &listing{r, now}
	}
}

func (t *Tally) wait(id string, left Guess, now time.Time) {
	t.forget(id)
	if len(t.waiting) >= limits.Waiting {
		return
	}
	if t.waiting == nil {
		t.waiting = make(map[string]waiting)
	}
	t.waiting[id] = waiting{left, now}
	t.ahead.add(left)
}

// forget drops what is known of a partition.
func (t *Tally) forget(id string) {
	delete(t.listing, id)
	t.unwait(id)
}

func (t *Tally) unwait(id string) {
	if w, ok := t.waiting[id]; ok {
		t.ahead.remove(w.left)
		delete(t.waiting, id)
	}
}

// Keep drops what was reported before a moment of partitions that are neither queued nor being
// listed any more: reports that they are over may have been lost.
func (t *Tally) Keep(before time.Time, outstanding func(id string) bool) {
	for id, l := range t.listing {
		if l.at.Before(before) && !outstanding(id) {
			t.forget(id)
		}
	}
	for id, w := range t.waiting {
		if w.at.Before(before) && !outstanding(id) {
			t.forget(id)
		}
	}
}

// Empty reports whether no partition is known.
func (t *Tally) Empty() bool { return len(t.listing)+len(t.waiting) == 0 }

// Sign returns when the last report came.
func (t *Tally) Sign() time.Time { return t.sign }

// Progress is how far an import is.
type Progress struct {
	Listed     int64         // distinct keys that were listed; it never falls
	Estimate   Guess         // of all keys; not Some if nothing is known that is worth telling
	PerSecond  float64       // keys, averaged over the last seconds
	Remaining  time.Duration // until all keys are listed; 0 if that is not known
	Workers    int           // processes that list
	Running    int           // partitions that are listed
	Throttles  int64
	Retries    int64
	LastReport time.Time // of the last report; zero if there was none
}

// Look returns how far the import is now, if so many distinct keys are covered and so many
// partitions are outstanding. A report that was not repeated for the time of expiry is that of
// a worker that is gone.
func (t *Tally) Look(covers Covers, covered int64, outstanding int, now time.Time, expiry time.Duration) Progress {
	t.expire(now.Add(-expiry))
	t.advance(covers)
	p := Progress{Running: len(t.listing), Throttles: t.throttles, Retries: t.retries, LastReport: t.sign}
	p.Listed = max(t.listed, covered+t.open(covers))
	t.listed = p.Listed
	p.PerSecond = t.rate.observe(p.Listed, now)
	all, workers := t.ahead, make(map[string]struct{})
	for _, l := range t.listing {
		workers[l.Worker] = struct{}{}
		all.add(l.Left)
	}
	p.Workers = len(workers)
	p.Estimate = all.estimate(p.Listed, outstanding)
	if outstanding > 0 {
		p.Estimate = t.refuted.check(p.Estimate, p.Listed)
	}
	if p.Estimate.Some && p.PerSecond > 0 && p.Running > 0 && p.Estimate.Keys <= vague*p.Estimate.Low {
		p.Remaining = remaining(p.Estimate.Keys-p.Listed, p.PerSecond)
	}
	return p
}

// expire lets the partitions wait of which nothing was reported since a moment.
func (t *Tally) expire(since time.Time) {
	for id, l := range t.listing {
		if l.at.Before(since) {
			left := l.Left
			left.Keys += l.Keys // they are listed again
			t.wait(id, left, l.at)
		}
	}
}

// advance moves the reports beyond the covers that came in after them.
func (t *Tally) advance(covers Covers) {
	for _, l := range t.listing {
		for l.Keys > 0 {
			c, ok := covers.Next(l.Span.After)
			if !ok {
				break
			}
			switch {
			case c.Upto == "" || c.Upto >= l.Span.Upto:
				l.Keys = 0
			case c.Range != nil:
				l.Keys = max(0, l.Keys-c.Range.Count)
			}
			l.Span.After = c.Upto
		}
	}
}

// open returns how many keys were listed that are not covered. Of keys that two deliveries have
// listed, it counts those of one.
func (t *Tally) open(covers Covers) (keys int64) {
	all := make([]*listing, 0, len(t.listing))
	for _, l := range t.listing {
		if l.Keys > 0 {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *listing) int { return strings.Compare(a.Span.Upto, b.Span.Upto) })
	reach := ""
	for _, l := range all {
		if l.Span.After >= reach && !covers.Overlaps(l.Span) {
			keys += l.Keys
			reach = l.Span.Upto
		}
	}
	return keys
}
