package coordinator

import (
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// hinderedFor is how long what a worker told of a partition is believed: longer than
// it usually takes until the next one has tried it, and tells again.
const hinderedFor = 3 * time.Minute

// hindrance is what a worker told of one partition of an import, and when that was
// heard.
type hindrance struct {
	queue.Trouble
	at time.Time
}

// hearTrouble notes what a worker told of an import that is followed here.
func (s *Service) hearTrouble(t queue.Trouble) {
	s.mu.Lock()
	p := s.progress[t.ImportID]
	s.mu.Unlock()
	if p != nil {
		p.hinder(t, s.cfg.Now())
	}
}

// hinder notes the trouble of one partition. That of the first one stays until it is
// over, so that what is told of the import does not change with each of many.
func (p *progress) hinder(t queue.Trouble, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &p.hindrance
	if h.Text == "" || h.PartitionID == t.PartitionID || now.Sub(h.at) >= hinderedFor {
		*h = hindrance{t, now}
	}
}

// hindered returns the trouble that there is with a partition of those outstanding,
// or "".
func (p *progress) hindered(outstanding []string, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hindrance
	if now.Sub(h.at) >= hinderedFor || !slices.Contains(outstanding, h.PartitionID) {
		return ""
	}
	return h.Text
}
