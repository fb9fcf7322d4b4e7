package server

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// shares are slots for strangers. No address may hold more than a share of them, so that one that
// sends slowly does not keep others out. Methods may be called concurrently.
type shares struct {
	free slots
	most int // that an address may hold

	mu   sync.Mutex
	held map[string]int // by address, with those that wait; no more than there are requests
}

// newShares returns a number of slots, at most share of them for each address.
func newShares(n, share int) *shares {
	return &shares{free: make(slots, n), most: share, held: make(map[string]int)}
}

// acquire waits for a slot for an address, up to a time. ok is false if there was none, or the
// address has its share. Else the caller has to call release.
func (s *shares) acquire(ctx context.Context, address string, most time.Duration) (release func(), ok bool) {
	if !s.join(address) {
		return nil, false
	}
	if !s.free.tryAcquire() && !s.free.acquire(ctx, most) {
		s.leave(address)
		return nil, false
	}
	return func() { s.free.release(); s.leave(address) }, true
}

func (s *shares) join(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[address] >= s.most {
		return false
	}
	s.held[address]++
	return true
}

func (s *shares) leave(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[address]--; s.held[address] == 0 {
		delete(s.held, address)
	}
}

// strangerWithin is how long a client that has proved nothing may take to send a body.
const strangerWithin = 10 * time.Second

// hurry has the body of a request end within strangerWithin.
func hurry(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(strangerWithin)) // recorders of tests have none
}
