package coordinator

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// ages knows since when each import that this process drives has got no further: no cover came in,
// and no step began or ended. An import that waits for its turn has no age, as another one is to
// blame. Its methods may be called concurrently.
type ages struct {
	now    func() time.Time
	oldest atomic.Pointer[time.Time] // of all, as of the last look; nil if there is none

	mu sync.Mutex
	at map[string]time.Time // when an import last got further; zero while it waits
}

func newAges(reg prometheus.Registerer, now func() time.Time) *ages {
	a := &ages{now: now, at: make(map[string]time.Time)}
	metric.With(reg).GaugeFunc("import_oldest_progress_age_seconds",
		"The longest time that an import which this process drives has got no further: no cover came in, and no step began or ended. One that waits for its turn does not count.", a.age)
	return a
}

// further notes that an import has got further.
func (a *ages) further(id string) { a.set(id, a.now()) }

// waits notes that an import waits for its turn.
func (a *ages) waits(id string) { a.set(id, time.Time{}) }

func (a *ages) set(id string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[id] = at
}

// forget drops an import that is not driven here any more.
func (a *ages) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.at, id)
}

// look finds the oldest of all, so that a scrape need not.
func (a *ages) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var oldest *time.Time
	for _, at := range a.at {
		if !at.IsZero() && (oldest == nil || at.Before(*oldest)) {
			oldest = &at
		}
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
