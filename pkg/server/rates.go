package server

import (
	"container/list"
	"sync"
	"time"
)

// ratesKept is the number of names whose rates are remembered, about 2 MB.
const ratesKept = 10_000

// rates bounds how often something happens, by the name of who causes it. Each name has a bucket
// of tokens, which fills again as time passes. Of too many names the least recent are forgotten,
// whose buckets are full again. Methods may be called concurrently.
type rates struct {
	perSecond, most float64
	now             func() time.Time

	mu     sync.Mutex
	byName map[string]*list.Element // of recent
	recent list.List                // *bucket; the latest is in front
}

type bucket struct {
	name   string
	tokens float64
	at     time.Time
}

// newRates returns rates of perSecond, and bursts of most at once.
func newRates(perSecond, most int, now func() time.Time) *rates {
	return &rates{perSecond: float64(perSecond), most: float64(most), now: now, byName: make(map[string]*list.Element)}
}

// take takes a token of a name, and reports whether there was one.
func (r *rates) take(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.filled(name)
	if b == nil {
		b = &bucket{name: name, tokens: r.most, at: r.now()}
		r.byName[name] = r.recent.PushFront(b)
		if len(r.byName) > ratesKept {
			oldest := r.recent.Remove(r.recent.Back()).(*bucket)
			delete(r.byName, oldest.name)
		}
	}
	r.recent.MoveToFront(r.byName[name])
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// giveBack gives a token back that was taken.
func (r *rates) giveBack(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.filled(name); b != nil {
		b.tokens = min(r.most, b.tokens+1)
	}
}

// filled returns the bucket of a name as it is now, nil if it is full.
func (r *rates) filled(name string) *bucket {
	e := r.byName[name]
	if e == nil {
		return nil
	}
	b, now := e.Value.(*bucket), r.now()
	b.tokens = min(r.most, b.tokens+max(0, now.Sub(b.at).Seconds())*r.perSecond)
	b.at = now
	return b
}
