package kv

import (
	"sync"
	"time"
)

// leaseAges measures by this process's own clock for how long leases were not renewed.
// NATS stamps a lease with the clock of the server that leads, and expires it by that.
// A server whose clock was an hour ahead leaves leases behind that stay for an hour,
// and keep later ones from expiring. The zero value has observed none.
type leaseAges struct {
	mu sync.Mutex
	of map[string]leaseAge
}

// leaseAge is when a lease was observed at a revision.
type leaseAge struct {
	revision    uint64
	first, last time.Time
}

// observe records that a lease is at a revision, and returns for how long it has been.
// A lease that was not observed for longer than forget counts as new.
func (a *leaseAges) observe(name string, revision uint64, now time.Time, forget time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	for other, age := range a.of {
		if now.Sub(age.last) > forget {
			delete(a.of, other)
		}
	}
	if a.of == nil {
		a.of = make(map[string]leaseAge)
	}
	age, ok := a.of[name]
	if !ok || age.revision != revision {
		age = leaseAge{revision: revision, first: now}
	}
	age.last = now
	a.of[name] = age
	return now.Sub(age.first)
}
