package natsd

import (
	"sync"
	"time"
)

// logEvery is how often, at most, refused clients are logged.
const logEvery = 10 * time.Second

// clientMark is part of every error that the server reports for a client's connection, such
// as a wrong password or a failed TLS handshake.
const clientMark = " - cid:"

// logLimiter limits how often something is logged. Its methods may be called concurrently.
type logLimiter struct {
	now func() time.Time

	mu   sync.Mutex
	last time.Time // when it was logged last; zero before the first time
}

// due reports whether to log now, and assumes that the caller does.
func (l *logLimiter) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if !l.last.IsZero() && now.Sub(l.last) < logEvery {
		return false
	}
	l.last = now
	return true
}
