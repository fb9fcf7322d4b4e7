package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// shared lets requests for the same thing at the same time share a call of find. The call
// that answers a request begins after the request has come, so the answer is as new as that of
// a call of its own. A call has a deadline of its own, and goes on if the request that makes it
// is gone. Methods may be called concurrently.
type shared[K comparable, V any] struct {
	find func(context.Context, K) (V, error)

	mu    sync.Mutex
	lines map[K]*line[V]
}

// line is the calls for one key.
type line[V any] struct {
	begun *call[V] // the latest one
	next  *call[V] // nil if no request has come since begun began
}

// call is a call of find. The first of the requests that it answers makes it.
type call[V any] struct {
	at    time.Time     // when it began
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

const (
	// apart is the time between the beginnings of two calls for a key, so that more requests
	// share a call if they come fast. A lone client never waits: its call has ended when it
	// asks again.
	apart = 10 * time.Millisecond

	// overtake is how long a call waits for the one before it, which may hang.
	overtake = time.Second
)

func newShared[K comparable, V any](find func(context.Context, K) (V, error)) *shared[K, V] {
	return &shared[K, V]{find: find, lines: make(map[K]*line[V])}
}

// get returns what find returns for a key. It calls awaitOther with what waits for a call that
// another request makes.
func (s *shared[K, V]) get(ctx context.Context, key K, awaitOther func(wait func())) (V, error) {
	l, c, before, first := s.join(key)
	if !first {
		awaitOther(func() { <-c.done })
		return c.value, c.err
	}
	if before != nil {
		before.awaitTurn()
		s.mu.Lock()
		l.begin()
		s.mu.Unlock()
	}
	s.make(ctx, key, l, c)
	return c.value, c.err
}

// join returns the call that answers a request which has just come. If it is the first one of
// the call, it has to make it, after the call before, which is nil if none goes on; the call
// has then begun.
func (s *shared[K, V]) join(key K) (l *line[V], c, before *call[V], first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l = s.lines[key]
	if l == nil {
		l = new(line[V])
		s.lines[key] = l
	}
	if l.next != nil {
		return l, l.next, nil, false
	}
	c, before = &call[V]{done: make(chan struct{})}, l.begun
	l.next = c
	if before == nil {
		l.begin()
	}
	return l, c, before, true
}

// begin lets the next call begin. The lock must be held.
func (l *line[V]) begin() {
	l.begun, l.next = l.next, nil
	l.begun.at = time.Now()
}

// make makes a call that has begun.
func (s *shared[K, V]) make(ctx context.Context, key K, l *line[V], c *call[V]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), api.AnswerWithin)
	defer cancel()
	c.err = errors.New("an answer that is shared was not made") // if find panics
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.begun == c && l.next == nil {
			delete(s.lines, key)
		}
		close(c.done)
	}()
	c.value, c.err = s.find(ctx, key)
}

// awaitTurn waits until the call after c may begin.
func (c *call[V]) awaitTurn() {
	select {
	case <-c.done:
		<-time.After(apart - time.Since(c.at))
	case <-time.After(overtake):
	}
}
