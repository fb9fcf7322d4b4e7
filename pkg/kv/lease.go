package kv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// ErrHeld says that another holder has the lease.
var ErrHeld = errors.New("lease is held")

// Leases are those of a fleet. Its methods may be called concurrently.
type Leases struct {
	b              *bucket
	ttl            time.Duration
	ages           *leaseAges
	acquired, lost prometheus.Counter
}

// NewLeases returns the leases of a fleet. One that is not renewed for ttl is free; 0 is 6 s.
func NewLeases(conn *natsconn.Conn, ttl time.Duration) *Leases {
	f := metric.With(conn.Registerer()).In("queue")
	return &Leases{
		b: open(conn, bucketLeases), ttl: cmp.Or(ttl, 6*time.Second), ages: &leaseAges{of: make(map[string]leaseAge)},
		acquired: f.Counter("leases_acquired_total", "Leases that this process took."),
		lost:     f.Counter("leases_lost_total", "Leases that were lost rather than released."),
	}
}

// Stream is the configuration of the stream that holds the leases.
func (l *Leases) Stream() jetstream.StreamConfig { return Stream(bucketLeases, l.ttl) }

// Within returns the same leases with a shorter patience; see natsconn.Conn.Within.
func (l *Leases) Within(d time.Duration) *Leases {
	impatient := *l
	impatient.b = open(l.b.conn.Within(d), bucketLeases)
	return &impatient
}

// Acquire takes the lease of the name, a key of a Bucket, for the holder, a name that
// is only shown to people. It tries once, and is ErrHeld while the lease is held.
func (l *Leases) Acquire(ctx context.Context, name, holder string) (*Lease, error) {
	sent := time.Now()
	rev, err := l.b.Create(ctx, name, []byte(holder))
	if errors.Is(err, ErrConflict) {
		rev, err = l.takeExpired(ctx, name, holder)
	}
	if errors.Is(err, ErrConflict) {
		err = ErrHeld
	}
	if err != nil {
		return nil, fmt.Errorf("acquire lease %s: %w", name, err)
	}
	l.acquired.Inc()
	renew, stop := context.WithCancel(context.Background())
	lease := &Lease{leases: l, name: name, holder: holder, lost: make(chan struct{}), rev: rev, stop: stop, done: make(chan struct{})}
	go lease.renew(renew, sent.Add(l.ttl))
	return lease, nil
}

// takeExpired takes a lease that its holder has not renewed for its time to live, or is
// ErrConflict.
func (l *Leases) takeExpired(ctx context.Context, name, holder string) (revision uint64, err error) {
	rev, free, err := l.look(ctx, name)
	if err == nil && !free {
		err = ErrConflict
	}
	if err != nil {
		return 0, err
	}
	return l.b.Update(ctx, name, []byte(holder), rev)
}

// look returns the revision of a lease, 0 if there is none, and whether it was not
// renewed for its time to live.
func (l *Leases) look(ctx context.Context, name string) (revision uint64, free bool, err error) {
	msg, err := l.b.last(ctx, name)
	if errors.Is(err, ErrNotFound) || err == nil && isTombstone(msg) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	return msg.Sequence, l.ages.observe(name, msg.Sequence, time.Now(), 10*l.ttl) >= l.ttl, nil
}

// Held returns the names of the leases with the prefix that are held, in bytewise
// order. The lease of a dead holder may be among them until this process has observed
// it for its time to live; then it is removed.
func (l *Leases) Held(ctx context.Context, prefix string) ([]string, error) {
	names, err := l.b.Keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	held := make([]string, 0, len(names))
	for _, name := range names {
		rev, free, err := l.look(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at lease %s: %w", name, err)
		}
		if !free {
			held = append(held, name)
		} else if rev > 0 { // else NATS keeps it for as long as a clock was ahead
			_ = l.b.Delete(ctx, name, rev) // the next call tries again
		}
	}
	return held, nil
}

// Lease is held until Release, or until it is lost. Its methods may be called
// concurrently.
//
// NATS frees a lease that was not renewed for its time to live, and so does a process
// that wants it and has observed it unchanged for as long. The holder renews it three
// times in that time and measures by its own clock from before each renewal, so that it
// gives up no later than they do. Clocks may still differ, and a process that is frozen
// notices nothing. So a lease alone excludes no other process: what its holder does must
// be guarded by a compare-and-swap, or be idempotent.
type Lease struct {
	leases *Leases
	name   string
	holder string
	lost   chan struct{}
	stop   context.CancelFunc
	done   chan struct{} // closed once renewing has ended
	rev    uint64        // written last by this holder; used by renew alone until done is closed
}

// Lost is closed when the lease is lost. It stays open after a Release.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Release frees the lease at once, unless it is lost already.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	err := l.leases.b.Delete(ctx, l.name, l.rev)
	if err != nil && !errors.Is(err, ErrConflict) {
		return fmt.Errorf("release lease %s: %w", l.name, err)
	}
	return nil
}

// renew keeps the lease until ctx ends or it is lost. NATS does not free it before
// deadline.
func (l *Lease) renew(ctx context.Context, deadline time.Time) {
	defer close(l.done)
	tick := time.NewTicker(l.leases.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sent := time.Now()
		inTime, cancel := context.WithDeadline(ctx, deadline)
		rev, err := l.leases.b.Update(inTime, l.name, []byte(l.holder), l.rev)
		cancel()
		switch {
		case err == nil:
			l.rev, deadline = rev, sent.Add(l.leases.ttl)
		case ctx.Err() == nil:
			l.leases.lost.Inc()
			l.leases.b.conn.Log().WarnContext(ctx, "lease lost", "lease", l.name, "err", err)
			close(l.lost)
			return
		}
	}
}

// leaseAges measures by this process's own clock for how long leases were not renewed.
// NATS stamps a lease with the clock of the server that leads, and expires it by that.
// A server whose clock was an hour ahead leaves leases behind that stay for an hour,
// and keep later ones from expiring.
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
	maps.DeleteFunc(a.of, func(_ string, age leaseAge) bool { return now.Sub(age.last) > forget })
	age, ok := a.of[name]
	if !ok || age.revision != revision {
		age = leaseAge{revision: revision, first: now}
	}
	age.last = now
	a.of[name] = age
	return now.Sub(age.first)
}
