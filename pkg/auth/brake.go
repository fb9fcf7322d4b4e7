package auth

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
)

// How failed logins are slowed down.
const (
	freeFailures = 5                      // of a login, answered at once
	firstPause   = 500 * time.Millisecond // of the failure after those; it doubles
	maxPause     = 15 * time.Second
	maxWaiting   = 4 // of a login at a time, once it has used up its free failures
	forgetAfter  = 10 * time.Minute
	maxLogins    = 10_000 // that are remembered: some 2 MB
)

// SlowDownFor is after how long a login that was ErrSlowDown is worth another try.
const SlowDownFor = 5 * time.Second

// ErrSlowDown says that too many wrong secrets of a login are waiting for their
// answer: this one was not looked at.
var ErrSlowDown = errors.New("too many failed logins")

// Login is whose failures are counted together. Guesses from one address keep nobody
// out who comes from another, and those at one key nobody who has another.
type Login struct {
	AccessKeyID string
	Address     string
}

// hash is what is kept of a login: clients choose how long it is.
func (l Login) hash() [sha256.Size]byte {
	return sha256.Sum256([]byte(l.Address + "\x00" + l.AccessKeyID))
}

// Brake slows down who guesses secrets. A wrong secret is answered later and later,
// and only a few wait for that at a time; the right one is answered at once, however
// many were wrong before. Its methods may be called concurrently.
type Brake struct {
	now func() time.Time

	mu     sync.Mutex
	of     map[[sha256.Size]byte]*list.Element // of recent
	recent list.List                           // *failures; the one that failed last is in front
}

// failures are those of one login.
type failures struct {
	login   [sha256.Size]byte
	count   int
	last    time.Time
	waiting int // checks and waits that are going on, once the free failures are used up
}

// NewBrake returns a brake that knows of no failures.
func NewBrake(now func() time.Time) *Brake {
	return &Brake{now: now, of: make(map[[sha256.Size]byte]*list.Element)}
}

// Try checks a login. If that fails it waits, as long as ctx lasts, before it returns
// false. It is ErrSlowDown, without a check, if too many wait already; other errors are
// those of check, and count as nothing.
func (b *Brake) Try(ctx context.Context, l Login, check func() (bool, error)) (bool, error) {
	id := l.hash()
	leave, ok := b.enter(id)
	if !ok {
		return false, ErrSlowDown
	}
	defer leave()
	ok, err := check()
	if ok || err != nil {
		return ok, err
	}
	return false, pause.For(ctx, b.fail(id))
}

// enter reports whether a login may be checked, and if so what to call at the end.
func (b *Brake) enter(id [sha256.Size]byte) (leave func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.known(id)
	if f == nil || f.count < freeFailures {
		return func() {}, true
	}
	if f.waiting == maxWaiting {
		return nil, false
	}
	f.waiting++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		f.waiting--
	}, true
}

// fail counts a failure and returns how long to wait before it is answered.
func (b *Brake) fail(id [sha256.Size]byte) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.known(id)
	if f == nil {
		f = &failures{login: id}
		b.of[id] = b.recent.PushFront(f)
		if len(b.of) > maxLogins {
			b.forget(b.recent.Back())
		}
	}
	b.recent.MoveToFront(b.of[id])
	f.count, f.last = f.count+1, b.now()
	if f.count <= freeFailures {
		return 0
	}
	return pause.Bound(firstPause, maxPause, f.count-freeFailures)
}

// known returns the failures of a login; nil if it has none that are remembered.
func (b *Brake) known(id [sha256.Size]byte) *failures {
	e := b.of[id]
	if e == nil {
		return nil
	}
	f := e.Value.(*failures)
	if f.waiting == 0 && b.now().Sub(f.last) >= forgetAfter {
		b.forget(e)
		return nil
	}
	return f
}

func (b *Brake) forget(e *list.Element) {
	b.recent.Remove(e)
	delete(b.of, e.Value.(*failures).login)
}
