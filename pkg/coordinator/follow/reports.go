package follow

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/progress"
)

// Take takes in what a worker reports of a partition. Reports of imports that are not followed
// are dropped: another one follows within a second.
func (f *Followers) Take(r progress.Report) {
	f.mu.Lock()
	p := f.byID[r.ImportID]
	f.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.Take(r, f.cfg.Now())
}

// Keep drops what was reported, before a moment, of partitions that are not outstanding, and
// notes how fast imports get on. outstanding has the IDs of the partitions of each import.
func (f *Followers) Keep(before time.Time, outstanding map[string][]string) {
	for id, p := range f.all() {
		p.keep(before, outstanding[id])
	}
}

func (p *Progress) keep(before time.Time, outstanding []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.tally.Empty() {
		ids := make(map[string]struct{}, len(outstanding))
		for _, id := range outstanding {
			ids[id] = struct{}{}
		}
		p.tally.Keep(before, func(id string) bool { _, ok := ids[id]; return ok })
	}
	if !p.stale || p.cost < cheap {
		p.look(len(outstanding))
	}
}

// Look returns how far the import is by covers and reports. outstanding is the number of its
// partitions that are queued or running.
func (p *Progress) Look(outstanding int) progress.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.look(outstanding)
}

// look is Look for a caller that holds the lock.
func (p *Progress) look(outstanding int) progress.Progress {
	p.fold()
	// While covers are read again, those that have come in are fewer than were counted before.
	now := p.tally.Look(&p.chain, p.last.Objects, outstanding, p.cfg.Now(), p.cfg.Expiry)
	now.Listed = max(now.Listed, p.objects)
	if p.last.Complete() {
		now.Estimate = progress.NewGuess(float64(now.Listed), float64(now.Listed), float64(now.Listed))
		now.Remaining = 0
	}
	return now
}

// TakeStep takes in what the driver of an import tells.
func (f *Followers) TakeStep(s progress.Step) {
	f.mu.Lock()
	p := f.byID[s.ImportID]
	f.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.Retries < p.step.Retries {
		p.gone += p.step.Retries // of a driver that is gone
	}
	p.step = s
	if s.Busy {
		p.sign = f.cfg.Now()
	}
}

// Step returns what the driver of the import told last, with the retries of all its drivers. It is
// the zero Step if nothing came in.
func (p *Progress) Step() progress.Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.step
	s.Retries += p.gone
	return s
}

// Sign returns when a cover, a report or a step of a busy driver came in last; zero if none did.
func (p *Progress) Sign() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reported := p.tally.Sign(); reported.After(p.sign) {
		return reported
	}
	return p.sign
}

// Look returns how far imports are, those of the map that are followed. The map has how many
// partitions of each import are outstanding.
func (f *Followers) Look(outstanding map[string]int) map[string]progress.Progress {
	all, looks := f.all(), make(map[string]progress.Progress, len(outstanding))
	for id, n := range outstanding {
		if p := all[id]; p != nil {
			looks[id] = p.Look(n)
		}
	}
	return looks
}
