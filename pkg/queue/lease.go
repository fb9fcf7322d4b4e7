package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// forgetLeases is after how many times to live a lease that was not looked at is seen
// as if for the first time.
const forgetLeases = 10

// ErrHeld says that somebody else holds the lease.
var ErrHeld = errors.New("lease is held")

// Lease is held until Release, or until it is lost. Its methods may be called
// concurrently.
//
// NATS frees a lease that was not renewed for its time to live, and so does whoever
// asks for it and has seen it unchanged for as long. The holder renews it three times
// in that time and counts by its own clock from before each renewal, so that it gives
// up no later than they do; by how much they may still differ (a process that is frozen
// notices nothing) is why a lease alone protects nothing.
type Lease struct {
	b      *bucket
	name   string
	holder string
	lost   chan struct{}

	mu  sync.Mutex
	rev uint64 // the revision that this holder wrote last

	stop context.CancelFunc
	done chan struct{} // renewing has ended
}

// Acquire takes the lease of the name, a key of a KV, in the name of the
// holder, which is only told to others. It tries once: while somebody holds the
// lease it is ErrHeld.
func (q *Queue) Acquire(ctx context.Context, name, holder string) (*Lease, error) {
	b := q.bucket(bucketLeases)
	ttl := q.cfg.LeaseTTL
	sent := time.Now()
	rev, err := b.Create(ctx, name, []byte(holder))
	if errors.Is(err, ErrConflict) {
		rev, err = q.succeed(ctx, name, holder)
	}
	if errors.Is(err, ErrConflict) {
		return nil, fmt.Errorf("acquire lease %s: %w", name, ErrHeld)
	}
	if err != nil {
		return nil, fmt.Errorf("acquire lease %s: %w", name, err)
	}
	q.metrics.leasesTaken.Inc()
	renew, stop := context.WithCancel(context.Background())
	l := &Lease{b: b, name: name, holder: holder, lost: make(chan struct{}), rev: rev, stop: stop, done: make(chan struct{})}
	go l.renew(renew, ttl, sent.Add(ttl))
	return l, nil
}

// succeed takes a lease that its holder has not renewed for its time to live, or
// answers ErrConflict.
func (q *Queue) succeed(ctx context.Context, name, holder string) (revision uint64, err error) {
	rev, free, err := q.sight(ctx, name)
	if err != nil {
		return 0, err
	}
	if rev == 0 || !free {
		return 0, ErrConflict
	}
	return q.bucket(bucketLeases).Update(ctx, name, []byte(holder), rev)
}

// sight looks at a lease. It returns its revision, 0 if there is none, and whether it
// was not renewed for its time to live.
func (q *Queue) sight(ctx context.Context, name string) (revision uint64, free bool, err error) {
	msg, err := q.bucket(bucketLeases).last(ctx, name)
	if errors.Is(err, ErrNotFound) || err == nil && deleted(msg) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	ttl := q.cfg.LeaseTTL
	return msg.Sequence, q.seen.see(name, msg.Sequence, time.Now(), forgetLeases*ttl) >= ttl, nil
}

// Leases returns the names of the leases with the prefix that are held, in
// bytewise order. That of a holder who is gone may be among them for as long as its
// time to live, from when this process looks for the first time; then it is removed.
func (q *Queue) Leases(ctx context.Context, prefix string) ([]string, error) {
	names, err := q.bucket(bucketLeases).Keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	held := make([]string, 0, len(names))
	for _, name := range names {
		rev, free, err := q.sight(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at lease %s: %w", name, err)
		}
		if !free {
			held = append(held, name)
		} else if rev > 0 { // else NATS keeps it for as long as a clock was ahead
			_ = q.bucket(bucketLeases).Delete(ctx, name, rev) // whoever looks next tries it again
		}
	}
	return held, nil
}

// Lost is closed when the lease is lost. It stays open after a Release.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Release gives the lease free at once, unless it is lost already.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.b.Delete(ctx, l.name, l.rev)
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("release lease %s: %w", l.name, err)
	}
	return nil
}

// renew keeps the lease until ctx ends or it is lost. NATS does not free it
// before deadline.
func (l *Lease) renew(ctx context.Context, ttl time.Duration, deadline time.Time) {
	defer close(l.done)
	tick := time.NewTicker(ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sent := time.Now()
		err := l.renewOnce(ctx, deadline)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.b.q.metrics.leasesLost.Inc()
			l.b.q.log.Warn("lease lost", "lease", l.name, "err", err)
			close(l.lost)
			return
		}
		deadline = sent.Add(ttl)
	}
}

func (l *Lease) renewOnce(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	rev, err := l.b.Update(ctx, l.name, []byte(l.holder), l.rev)
	if err == nil {
		l.rev = rev
	}
	return err
}
