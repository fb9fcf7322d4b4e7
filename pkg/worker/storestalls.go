package worker

import (
	"encoding/json"
	"maps"
	"sync"
	"time"
)

// topicStalled is where workers broadcast that a store stalls.
const topicStalled = "stalled"

const (
	keepStall  = 10 * time.Minute // what is known of a store is kept for so long
	slowFactor = 2                // patience with a store is so many times its slowest recent answer
)

// stallMessage says for how long no suspect of a store is to be tried; 0 says that the
// store answers again.
type stallMessage struct {
	Store string        `json:"store"`
	For   time.Duration `json:"for"` // nanoseconds
}

// storeStalls is what a worker knows of stores that answered late, or not at all. It is
// safe for concurrent use.
type storeStalls struct {
	limit     time.Duration // an answer that takes longer is late
	now       func() time.Time
	broadcast func(topic string, message any)

	mu     sync.Mutex
	stores map[string]storeStall // never nil
}

// storeStall is what is known of one store.
type storeStall struct {
	until   time.Time     // before then no suspect is tried
	slowest time.Duration // of its recent late answers
	noted   time.Time     // when any of this was noted
}

// update changes what is known of a store, and drops what was noted long ago.
func (s *storeStalls) update(store string, f func(now time.Time, of *storeStall)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	maps.DeleteFunc(s.stores, func(_ string, old storeStall) bool { return now.Sub(old.noted) > keepStall })
	of := s.stores[store]
	f(now, &of)
	of.noted = now
	s.stores[store] = of
}

// postpone keeps all workers from trying a suspect of the store for d.
func (s *storeStalls) postpone(store string, d time.Duration) {
	s.block(store, d) // even if no message arrives
	s.broadcast(topicStalled, stallMessage{store, d})
}

// block keeps this worker from trying a suspect of the store for d.
func (s *storeStalls) block(store string, d time.Duration) {
	s.update(store, func(now time.Time, of *storeStall) { of.until = now.Add(d) })
}

// takeTurn takes the turn to try a suspect of the store for so long, and broadcasts that.
// If another suspect has the turn, it returns for how long.
func (s *storeStalls) takeTurn(store string, d time.Duration) (others time.Duration) {
	s.update(store, func(now time.Time, of *storeStall) {
		if others = of.until.Sub(now); others <= 0 {
			others, of.until = 0, now.Add(d)
		}
	})
	if others == 0 {
		s.broadcast(topicStalled, stallMessage{store, d})
	}
	return others
}

func (s *storeStalls) receive(data []byte) {
	var m stallMessage
	if json.Unmarshal(data, &m) == nil && m.Store != "" {
		s.block(m.Store, min(m.For, 2*maxPatience))
	}
}

// answered notes how long an answer of a store took.
func (s *storeStalls) answered(store string, took time.Duration) {
	if took > s.limit {
		s.update(store, func(_ time.Time, of *storeStall) { of.slowest = max(of.slowest, took) })
	}
}

// patience is for how long a partition waits for a store while others wait for its slot:
// longer if it has waited before, and if the store is slow.
func (s *storeStalls) patience(store string, waited time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(max(s.limit, waited, slowFactor*s.stores[store].slowest), maxPatience)
}
