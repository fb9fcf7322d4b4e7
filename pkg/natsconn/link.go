package natsconn

import (
	"context"
	"sync"
	"time"
)

// link is whether NATS is reached and responds. The zero value is not usable; see
// newLink. Its methods may be called concurrently.
type link struct {
	mu     sync.Mutex
	ctx    context.Context // ends when the connection is lost
	cancel context.CancelFunc
	err    error     // why the last attempt to connect failed
	logged time.Time // when a problem of the link was logged last

	outage outageDetector // of the connection that there is
}

func newLink() *link {
	l := &link{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// up returns a context that ends when the present connection is lost.
func (l *link) up() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

func (l *link) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
}

func (l *link) restored() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.outage = outageDetector{}
}

// attempted records how an attempt of a call ended, and reports whether to log that
// NATS does not respond.
func (l *link) attempted(begun, now time.Time, err error, proof bool) (log bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false // it is not even reached
	}
	l.outage.attempted(begun, now, err, proof)
	return err != nil && l.outage.detected(now) && l.due(now)
}

// unresponsive reports whether NATS is reached and does not respond.
func (l *link) unresponsive(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage.detected(now)
}

// failed records why NATS was not reached, and reports whether to log it.
func (l *link) failed(err error, now time.Time) (log bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	return l.due(now)
}

// due reports whether to log a problem now, and assumes that the caller does.
func (l *link) due(now time.Time) bool {
	if !l.logged.IsZero() && now.Sub(l.logged) < logEvery {
		return false
	}
	l.logged = now
	return true
}

func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
