package worker

import "time"

// pace is how fast a partition is listed, and for how long. It is for the goroutine that
// lists; only passed is set by others.
type pace struct {
	now     func() time.Time
	begun   time.Time
	keys    uint64    // that were listed
	reached time.Time // when the first batch came: until then a walk passes over the keys before its start
	passed  clock     // when the listing last passed over a page
}

func newPace(now func() time.Time) *pace { return &pace{now: now, begun: now()} }

// arrive notes that a batch of the listing came.
func (p *pace) arrive() {
	if p.reached.IsZero() {
		p.reached = p.now()
	}
}

// speed returns how many keys a second were listed.
func (p *pace) speed() float64 { return float64(p.keys) / p.now().Sub(p.begun).Seconds() }

// atWork returns for how long the partition has been at work, and for how long of that
// it has listed keys that earlier deliveries had not.
func (p *pace) atWork() (total, fresh time.Duration) {
	now := p.now()
	fresh = now.Sub(p.reached)
	if p.passed.isSet() {
		fresh = min(fresh, p.passed.since(now))
	}
	return now.Sub(p.begun), fresh
}
