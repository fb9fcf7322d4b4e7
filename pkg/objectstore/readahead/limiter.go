package readahead

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bounds what reading ahead of one store takes, by all listings of the
// process together. Zero fields have defaults.
type Limits struct {
	Most   int // LISTs in flight, ever; 0 is 96
	Buffer int // bytes of pages that no consumer has taken yet; 0 is 48 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Most <= 0 {
		l.Most = 96
	}
	if l.Buffer <= 0 {
		l.Buffer = 48 << 20
	}
	return l
}

// Limiter finds out how many LISTs a store bears at once, as TCP finds its window: one more
// with each answer, which is twice as many after a round trip. Once the store has
// throttled or slowed down, it adds one in each round trip, as long as the latency holds,
// and takes three tenths away each time that the store throttles. Listings share it,
// and each gets an equal part. It is safe for concurrent use.
type Limiter struct {
	limits Limits
	jitter func() float64 // in [0, 1)

	mu        sync.Mutex
	limit     float64
	steady    bool // the store has throttled or slowed down
	cuts      int  // of the limit; a try is of the epoch that their number names
	throttles int  // cuts that this process's own calls caused
	since     int  // tries that succeeded since the last cut

	round     int // tries that make a round trip: the limit as it began
	succeeded int // tries of this round trip that did
	latency   time.Duration
	fastest   time.Duration // mean latency of the fastest round trip

	active   atomic.Int64 // listings
	inFlight atomic.Int64 // calls, with those that wait for their next try
}

// start is how many LISTs may be in flight at first.
const start = 16

// NewLimiter returns the Limiter of one store.
func NewLimiter(l Limits) *Limiter {
	l = l.withDefaults()
	begin := min(start, l.Most)
	return &Limiter{limits: l, limit: float64(begin), round: begin, jitter: rand.Float64}
}

// Active reports whether anything is listed now.
func (l *Limiter) Active() bool { return l.active.Load() > 0 }

// Busy reports whether more than half of the calls that may be in flight are, including
// those that wait for their next try. Another listing would take calls from those that
// there are.
func (l *Limiter) Busy() bool {
	calls, _ := l.share()
	return 2*l.inFlight.Load() > max(1, l.active.Load())*int64(calls)
}

// Throttles returns how often the limit was cut because the store throttled a call of this
// process.
func (l *Limiter) Throttles() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.throttles
}

// Cut cuts the limit because the store throttled another process. It does nothing within a
// round trip after the last cut, which had the same cause.
func (l *Limiter) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since >= int(l.limit) {
		l.cut()
	}
}

// Most returns the bound of the limit.
func (l *Limiter) Most() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limits.Most
}

// SetMost bounds the limit to n, at least 1, from now on.
func (l *Limiter) SetMost(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits.Most = max(1, n)
	l.limit = min(l.limit, float64(l.limits.Most))
}

// share returns the part of one listing: LISTs in flight and bytes to hold.
func (l *Limiter) share() (calls, buffer int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := max(1, int(l.active.Load()))
	return max(1, int(l.limit)/n), l.limits.Buffer / n
}

// epoch returns the epoch of a try that begins now. Each cut begins another one, so that
// tries that began before a cut do not cause a second one.
func (l *Limiter) epoch() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts
}

// success notes a try that the store answered after a time.
func (l *Limiter) success(latency time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.succeeded++
	l.since++
	l.latency += latency
	if !l.steady {
		l.grow()
	}
	if l.succeeded < l.round {
		return
	}
	mean := l.latency / time.Duration(l.succeeded)
	if l.fastest == 0 || mean < l.fastest {
		l.fastest = mean
	}
	switch {
	case mean > slower*l.fastest: // more calls only wait longer
		l.steady = true
	case l.steady:
		l.grow()
	}
	l.nextRound()
}

// throttled notes a try of an epoch that the store refused for now.
func (l *Limiter) throttled(epoch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch == l.cuts {
		l.throttles++
		l.cut()
	}
}

// grow raises the limit by one. The caller holds the lock.
func (l *Limiter) grow() { l.limit = min(l.limit+1, float64(l.limits.Most)) }

// nextRound begins a round trip. The caller holds the lock.
func (l *Limiter) nextRound() { l.succeeded, l.latency, l.round = 0, 0, int(l.limit) }

// cut lowers the limit. The caller holds the lock.
func (l *Limiter) cut() {
	// Jitter, for many workers are throttled at the same time.
	l.limit = max(1, l.limit*(leftByCut+cutJitter*l.jitter()))
	l.steady = true
	l.cuts++
	l.since = 0
	l.nextRound()
}
