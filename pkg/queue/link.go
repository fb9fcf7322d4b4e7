package queue

import (
	"context"
	"sync"
	"time"
)

// link is whether NATS is reached. The zero value is not usable; see newLink.
type link struct {
	mu  sync.Mutex
	ctx context.Context
	cut context.CancelFunc
	err error     // why NATS was not reached when that was tried last
	at  time.Time // when that was told, or that it is silent

	silence silence // of the connection that there is
}

func newLink() *link {
	l := &link{}
	l.ctx, l.cut = context.WithCancel(context.Background())
	return l
}

// up returns a context that ends when the connection that there is now is lost.
func (l *link) up() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

func (l *link) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

func (l *link) restored() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
	l.ctx, l.cut = context.WithCancel(context.Background())
	l.silence = silence{}
}

// tried notes how a try has ended, and reports whether to tell that NATS is silent.
func (l *link) tried(begun, now time.Time, err error, proof bool) (tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false // it is not even reached
	}
	l.silence.note(begun, now, err, proof)
	return err != nil && l.silence.lasts(now) && l.due(now)
}

// silent reports whether NATS, while it is reached, does not answer.
func (l *link) silent(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.silence.lasts(now)
}

// failed notes why NATS was not reached at a moment, and reports whether to tell.
func (l *link) failed(err error, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	return l.due(now)
}

// due reports whether it is time to tell what is wrong, and takes it as told.
func (l *link) due(now time.Time) bool {
	if !l.at.IsZero() && now.Sub(l.at) < tellEvery {
		return false
	}
	l.at = now
	return true
}

func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
