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

// How failed logins are delayed.
const (
	freeFailures = 5                      // of a login, answered at once
	firstPause   = 500 * time.Millisecond // before the answer to the next failure; it doubles with each one more
	maxPause     = 15 * time.Second
	maxWaiting   = 4 // attempts of one login at a time, once its free failures are used up
	forgetAfter  = 10 * time.Minute
	maxLogins    = 10_000 // that are remembered, about 2 MB
)

// LoginRetryAfter is how long a client should wait after ErrTooManyLogins.
const LoginRetryAfter = 5 * time.Second

// ErrTooManyLogins says that too many wrong secrets of the same login are waiting for
// their answers: this one was not checked.
var ErrTooManyLogins = errors.New("too many failed logins")

// Login is an access key and the address that it is used from. Failures are counted for
// each login: wrong secrets lock out neither the same key at another address nor another
// key at the same address.
type Login struct {
	AccessKeyID string // or another name of what is presented, such as the hash of a token
	Address     string
	Accepted    bool // the same secret was right lately: it is checked however many wrong ones wait
}

// hash is what is stored of a login, whose length clients choose.
func (l Login) hash() [sha256.Size]byte {
	return sha256.Sum256([]byte(l.Address + "\x00" + l.AccessKeyID))
}

// LoginLimiter slows down clients that guess secrets. The answers to wrong secrets are
// delayed more and more, and only a few attempts of a login wait for theirs at a time. The
// right secret is answered at once, however many wrong ones came before. Methods may be
// called concurrently.
type LoginLimiter struct {
	now  func() time.Time
	wait func(ctx context.Context, d time.Duration) error

	mu      sync.Mutex
	byLogin map[[sha256.Size]byte]*list.Element // of recent
	recent  list.List                           // *failures; the latest to fail is in front
}

// failures are those of one login.
type failures struct {
	login   [sha256.Size]byte
	count   int
	last    time.Time
	waiting int // attempts being checked or delayed, once the free failures are used up
}

// NewLoginLimiter returns a limiter that knows of no failures. It calls wait to delay an answer: wait
// returns after d, or with the error of ctx once that has ended.
func NewLoginLimiter(now func() time.Time, wait func(ctx context.Context, d time.Duration) error) *LoginLimiter {
	return &LoginLimiter{now: now, wait: wait, byLogin: make(map[[sha256.Size]byte]*list.Element)}
}

// Try checks a login. After a failed check it waits, but not longer than ctx lasts, before
// it returns false. If too many attempts of the login are waiting it returns
// ErrTooManyLogins without calling check. Errors of check are returned, and are not counted
// as failures.
func (l *LoginLimiter) Try(ctx context.Context, login Login, check func() (bool, error)) (bool, error) {
	id := login.hash()
	leave, ok := l.enter(id, login.Accepted)
	if !ok {
		return false, ErrTooManyLogins
	}
	defer leave()
	ok, err := check()
	if ok || err != nil {
		return ok, err
	}
	return false, l.wait(ctx, l.fail(id))
}

// enter reports whether a login may be checked and, if so, returns what to call at the end.
func (l *LoginLimiter) enter(id [sha256.Size]byte, accepted bool) (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.known(id)
	if f == nil || f.count < freeFailures {
		return func() {}, true
	}
	if f.waiting >= maxWaiting && !accepted {
		return nil, false
	}
	f.waiting++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		f.waiting--
	}, true
}

// fail counts a failure and returns how long to delay its answer.
func (l *LoginLimiter) fail(id [sha256.Size]byte) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.known(id)
	if f == nil {
		f = &failures{login: id}
		l.byLogin[id] = l.recent.PushFront(f)
		if len(l.byLogin) > maxLogins {
			l.forget(l.recent.Back())
		}
	}
	l.recent.MoveToFront(l.byLogin[id])
	f.count, f.last = f.count+1, l.now()
	if f.count <= freeFailures {
		return 0
	}
	return pause.Bound(firstPause, maxPause, f.count-freeFailures)
}

// known returns the failures of a login, nil if none are remembered.
func (l *LoginLimiter) known(id [sha256.Size]byte) *failures {
	e := l.byLogin[id]
	if e == nil {
		return nil
	}
	f := e.Value.(*failures)
	if f.waiting == 0 && l.now().Sub(f.last) >= forgetAfter {
		l.forget(e)
		return nil
	}
	return f
}

func (l *LoginLimiter) forget(e *list.Element) {
	l.recent.Remove(e)
	delete(l.byLogin, e.Value.(*failures).login)
}
