package coordinator

import (
	"context"
	"sync"
)

// limiter bounds how many do a thing at the same time: all together, and those of
// one key, such that what is slow under one key holds up no other. Who waits for
// a key is served in the order of arrival. Its methods may be called
// concurrently.
type limiter struct {
	all  chan struct{}
	each int

	mu   sync.Mutex
	keys map[string]*perKey // that somebody has or waits for
}

// perKey is what those share that want the same key.
type perKey struct {
	slots chan struct{}
	users int
}

// newLimiter returns a limiter to `all` at a time, and `each` of one key; both are at
// least 1.
func newLimiter(all, each int) *limiter {
	return &limiter{all: make(chan struct{}, all), each: each, keys: make(map[string]*perKey)}
}

// take waits for a turn, to be given back by calling done once, or for the end
// of ctx.
func (l *limiter) take(ctx context.Context, key string) (done func(), err error) {
	mine := l.join(key)
	select {
	case mine.slots <- struct{}{}:
	case <-ctx.Done():
		l.quit(key)
		return nil, ctx.Err()
	}
	select {
	case l.all <- struct{}{}:
	case <-ctx.Done():
		<-mine.slots
		l.quit(key)
		return nil, ctx.Err()
	}
	return func() {
		<-l.all
		<-mine.slots
		l.quit(key)
	}, nil
}

func (l *limiter) join(key string) *perKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.keys[key]
	if mine == nil {
		mine = &perKey{slots: make(chan struct{}, l.each)}
		l.keys[key] = mine
	}
	mine.users++
	return mine
}

func (l *limiter) quit(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.keys[key]
	if mine.users--; mine.users == 0 {
		delete(l.keys, key)
	}
}
