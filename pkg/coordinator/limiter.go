package coordinator

import (
	"context"
	"sync"
)

// limiter is a semaphore with a bound for all users and one for the users of each key, so
// that what is slow under one key does not delay other keys. The users of a key are served
// in the order of arrival. Its methods may be called concurrently.
type limiter struct {
	all  chan struct{}
	each int

	mu   sync.Mutex
	keys map[string]*perKey // those with users
}

type perKey struct {
	slots chan struct{} // holds a value for each user that has its turn, or waits for one of all
	users int           // that have or wait for a turn
}

// newLimiter returns a limiter to the given number of users at a time, of all keys and of
// each key. Both are at least 1.
func newLimiter(all, each int) *limiter {
	return &limiter{all: make(chan struct{}, all), each: each, keys: make(map[string]*perKey)}
}

// take waits for a turn, or until ctx ends. The caller gives the turn back by one call of
// done.
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
