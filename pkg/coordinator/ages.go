package coordinator

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// ages knows since when each import that this process drives has got no further: no key was
// listed, no cover came in, no step of it succeeded, and no range was added to its tree. While an
// import waits for its turn its age does not count, as another one is to blame, and it does not
// grow either. Its methods may be called concurrently. Those for an import that is not known do
// nothing.
type ages struct {
	now    func() time.Time
	oldest atomic.Pointer[time.Time] // of all, as of the last look; nil if there is none

	mu sync.Mutex
	of map[string]*standing // by import
}

// standing is since when an import has stood still.
type standing struct {
	since  time.Time
	waits  time.Time // since when it has waited for its turn; zero while it does not
	listed int64     // keys
}

func newAges(reg prometheus.Registerer, now func() time.Time) *ages {
	a := &ages{now: now, of: make(map[string]*standing)}
	metric.With(reg).GaugeFunc("import_oldest_progress_age_seconds",
		"The longest time that an import which this process drives has got no further: no key was listed, no cover came in, no step of it succeeded, and no range was added to its tree. One that waits for its turn does not count.", a.age)
	return a
}

// begin notes an import that is driven here from now on.
func (a *ages) begin(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[id] = &standing{since: a.now()}
}

// forget drops an import that is not driven here any more.
func (a *ages) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, id)
}

// note changes what is known of an import.
func (a *ages) note(id string, change func(s *standing, now time.Time)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.of[id]; s != nil {
		change(s, a.now())
	}
}

// further notes that an import has got further.
func (a *ages) further(id string) { a.note(id, (*standing).further) }

func (s *standing) further(now time.Time) {
	if s.since = now; !s.waits.IsZero() {
		s.waits = now
	}
}

// listed notes how many keys of an import were listed.
func (a *ages) listed(id string, keys int64) {
	a.note(id, func(s *standing, now time.Time) {
		if keys > s.listed {
			s.listed = keys
			s.further(now)
		}
	})
}

// waits notes that an import waits for its turn.
func (a *ages) waits(id string) {
	a.note(id, func(s *standing, now time.Time) { s.waits = now })
}

// goesOn notes that an import does not wait any more. It is as old as it was before: it may be
// one whose turn comes again and again, and that fails each time.
func (a *ages) goesOn(id string) {
	a.note(id, func(s *standing, now time.Time) {
		if !s.waits.IsZero() {
			s.since = s.since.Add(now.Sub(s.waits))
			s.waits = time.Time{}
		}
	})
}

// look finds the oldest of all, so that a scrape need not.
func (a *ages) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var oldest *time.Time
	for _, s := range a.of {
		if s.waits.IsZero() && (oldest == nil || s.since.Before(*oldest)) {
			oldest = &s.since
		}
	}
	if oldest != nil {
		oldest = new(*oldest)
	}
	a.oldest.Store(oldest)
}

// age returns the age of the oldest in seconds, 0 if there is none.
func (a *ages) age() float64 {
	oldest := a.oldest.Load()
	if oldest == nil {
		return 0
	}
	return max(0, a.now().Sub(*oldest).Seconds())
}
