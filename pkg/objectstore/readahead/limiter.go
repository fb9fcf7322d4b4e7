package readahead

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Limits bounds what reading ahead of one store takes, by all listings of the
// process together. Zero fields have defaults.
type Limits struct {
	Start  int // LISTs in flight at first; 0 is 16
	Most   int // LISTs in flight, ever; 0 is 96
	Buffer int // bytes of pages that no consumer has taken yet; 0 is 96 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Start <= 0 {
		l.Start = 16
	}
	if l.Most <= 0 {
		l.Most = 96
	}
	if l.Buffer <= 0 {
		l.Buffer = 96 << 20
	}
	l.Start = min(l.Start, l.Most)
	return l
}

// Limiter finds out how many LISTs a store bears at once: one more with each answer, which
// is twice as many after a round trip, and from the first complaint on one more each round
// trip, as long as its latency holds; less by three tenths when it throttles. Listings share
// it, and each gets an equal part. It is safe for concurrent use.
type Limiter struct {
	limits Limits
	jitter func() float64 // in [0, 1)

	mu       sync.Mutex
	limit    float64
	steady   bool // the store has complained or slowed down
	epoch    int  // of cuts: what was called before one does not cause another
	quiet    int  // calls of this round trip that were answered
	round    int  // calls that are a round trip: the limit as it began
	latency  time.Duration
	fastest  time.Duration // mean latency of the fastest round trip
	active   int           // listings
	inFlight int           // calls
	cuts     int           // by this process's own calls
	since    int           // calls that were answered since the last cut
}

// NewLimiter returns the Limiter of one store.
func NewLimiter(l Limits) *Limiter {
	l = l.withDefaults()
	return &Limiter{limits: l, limit: float64(l.Start), round: l.Start, jitter: rand.Float64}
}

// enter counts a listing, until leave.
func (l *Limiter) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active++
}

func (l *Limiter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
}

// share returns the part of one listing: LISTs in flight and bytes to hold.
func (l *Limiter) share() (calls, buffer int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := max(1, l.active)
	return max(1, int(l.limit)/n), l.limits.Buffer / n
}

// called returns the epoch to end a call with.
func (l *Limiter) called() (epoch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// quietly notes a call that the store answered after a time.
func (l *Limiter) quietly(latency time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quiet++
	l.since++
	l.latency += latency
	if !l.steady {
		l.grow()
	}
	if l.quiet < l.round {
		return
	}
	mean := l.latency / time.Duration(l.quiet)
	if l.fastest == 0 || mean < l.fastest {
		l.fastest = mean
	}
	switch {
	case mean > 2*l.fastest: // more calls only wait longer
		l.steady = true
	case l.steady:
		l.grow()
	}
	l.begin()
}

// grow raises the limit by one. The caller holds the lock.
func (l *Limiter) grow() { l.limit = min(l.limit+1, float64(l.limits.Most)) }

// begin begins a round trip. The caller holds the lock.
func (l *Limiter) begin() { l.quiet, l.latency, l.round = 0, 0, int(l.limit) }

// throttled notes a call of an epoch that the store refused for now.
func (l *Limiter) throttled(epoch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch == l.epoch {
		l.cuts++
		l.cut()
	}
}

// cut lowers the limit. The caller holds the lock.
func (l *Limiter) cut() {
	// Jitter, for many workers are told at the same time.
	l.limit = max(1, l.limit*(0.65+0.1*l.jitter()))
	l.steady = true
	l.epoch++
	l.since = 0
	l.begin()
}
