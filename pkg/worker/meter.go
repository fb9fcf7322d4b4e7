package worker

import "time"

// meter measures how fast a partition is listed, and for how long. It is for the goroutine
// that lists; only further is set by others, too.
type meter struct {
	now     func() time.Time
	begun   time.Time
	keys    uint64 // that were listed
	arrived bool   // a batch came: until then a walk passes over the keys before its start
	further clock  // when the first batch came, or when the listing last passed over a page
}

func newMeter(now func() time.Time) *meter { return &meter{now: now, begun: now()} }

// arrive notes that a batch of the listing came.
func (m *meter) arrive() {
	if !m.arrived {
		m.arrived = true
		m.further.set(m.now())
	}
}

// speed returns how many keys a second were listed.
func (m *meter) speed() float64 { return float64(m.keys) / m.now().Sub(m.begun).Seconds() }

// atWork returns for how long the partition has been at work, and for how long of that
// it has listed keys that earlier deliveries had not.
func (m *meter) atWork() (total, fresh time.Duration) {
	now := m.now()
	return now.Sub(m.begun), m.further.since(now)
}
