package queue

import (
	"sync"
	"time"
)

// sightings tells how long leases were not renewed, by this process's own clock. NATS
// stamps a lease with the time of the server that leads, and frees it by that. A server
// whose clock was an hour ahead leaves leases behind that stay for an hour, and keep
// others from being freed that come after them. The zero value has seen none.
type sightings struct {
	mu sync.Mutex
	of map[string]sighting
}

// sighting is a lease at a revision.
type sighting struct {
	revision    uint64
	first, last time.Time // when it was seen there
}

// see notes that a lease is at a revision, and returns how long it has been there. Who
// has not looked for longer than forget begins anew.
func (s *sightings) see(name string, revision uint64, now time.Time, forget time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, seen := range s.of {
		if now.Sub(seen.last) > forget {
			delete(s.of, other)
		}
	}
	if s.of == nil {
		s.of = make(map[string]sighting)
	}
	seen, ok := s.of[name]
	if !ok || seen.revision != revision {
		seen = sighting{revision: revision, first: now}
	}
	seen.last = now
	s.of[name] = seen
	return now.Sub(seen.first)
}
