package natsd

import (
	"sync"
	"time"
)

// tellEvery is how often at most it is told that clients are refused.
const tellEvery = 10 * time.Second

// clientMark is in every error that the server reports of a client's connection, such as a
// wrong password or a TLS handshake that failed.
const clientMark = " - cid:"

// pacer tells when it is time to tell something again. It is safe for concurrent use.
type pacer struct {
	now func() time.Time

	mu   sync.Mutex
	told time.Time // zero before the first time
}

// due reports whether to tell now, and takes it as told.
func (p *pacer) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if !p.told.IsZero() && now.Sub(p.told) < tellEvery {
		return false
	}
	p.told = now
	return true
}
