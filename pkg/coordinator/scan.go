package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// scan starts a driver for every import that is this coordinator's, takes over
// those whose coordinator is gone, and forgets those that ended long ago. What
// is wrong with one import does not keep it from the others.
func (s *Service) scan(ctx context.Context) error {
	seen := s.survey.Load() // before the IDs: what it has of no ID below is garbage
	ids, err := s.cfg.Imports.IDs(ctx)
	if err != nil {
		return err
	}
	var errs []error
	var running []imports.Record
	broken := make(map[string]string)
	for _, id := range slices.Concat(ids, s.unlisted(ids)) {
		if s.known(id) || ctx.Err() != nil {
			continue
		}
		record, err := s.attend(ctx, id)
		if fault.Is(err, fault.Broken) {
			broken[id] = err.Error()
			continue
		}
		if errs = append(errs, err); err == nil && !record.State.Ended() {
			running = append(running, record)
		}
	}
	s.noteBroken(queue.BucketImports, broken)
	// After the records: who drove one then, and is not here now, is gone.
	alive, err := s.peers.Alive(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, record := range running {
		if !slices.Contains(alive, record.Driver) {
			record, err = s.takeOver(ctx, record)
			errs = append(errs, err)
		}
		if record.Driver == s.session {
			s.startDriver(record.Job.ImportID)
		}
	}
	s.forget(ids)
	s.showImports(running)
	return errors.Join(append(errs, s.sweep(ctx, seen, ids))...)
}

// attend reads the record of an import, and retires one that has ended. An
// import that is not there any more is an ended one.
func (s *Service) attend(ctx context.Context, id string) (imports.Record, error) {
	record, err := s.cfg.Imports.Get(ctx, id)
	if fault.Is(err, fault.NotFound) {
		s.unfollow(id)
		return imports.Record{State: imports.Canceled}, nil
	}
	if err == nil && record.State.Ended() {
		err = s.retire(ctx, record)
	}
	return record, err
}

// takeOver makes this coordinator the driver of an import, unless another one is
// faster.
func (s *Service) takeOver(ctx context.Context, record imports.Record) (imports.Record, error) {
	from, id := record.Driver, record.Job.ImportID
	record, err := s.cfg.Imports.Apply(ctx, id, func(r imports.Record) (imports.Record, error) {
		return r.Drive(from, s.session)
	})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return record, nil
	}
	if err == nil && from != "" {
		s.metrics.takeovers.Inc()
		s.cfg.Log.Info("import taken over", "import_id", id, "from", from)
	}
	return record, err
}

// known reports whether there is nothing to do about an import: it is driven
// here, or ended not long ago.
func (s *Service) known(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, ended := s.ended[id]
	return s.driving[id] || ended && end.kept(s.cfg.Now())
}

// kept reports whether an import ended not long ago.
func (e end) kept(now time.Time) bool {
	return now.Sub(e.at) < keepEnded || now.Sub(e.seen) < keepSeen
}

// forget drops what is remembered of imports that another coordinator deleted.
// One that ended since the IDs were read is noticed again.
func (s *Service) forget(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := make(map[string]end, len(s.ended))
	for _, id := range ids {
		if e, ok := s.ended[id]; ok {
			ended[id] = e
		}
	}
	s.ended = ended
}

// unlisted returns the imports that are followed here and not among the sorted IDs: of one
// that another coordinator forgot before this one saw it end, nothing else would tell.
func (s *Service) unlisted(ids []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unlisted []string
	for id := range s.progress {
		if _, listed := slices.BinarySearch(ids, id); !listed {
			unlisted = append(unlisted, id)
		}
	}
	return unlisted
}

// retire notes that an import has ended, and forgets it if that was long ago.
func (s *Service) retire(ctx context.Context, r imports.Record) error {
	id, now := r.Job.ImportID, s.cfg.Now()
	s.mu.Lock()
	e, again := s.ended[id]
	if !again {
		e = end{r.Updated, now, r.State}
		s.ended[id] = e
	}
	s.mu.Unlock()
	s.unfollow(id)
	if e.kept(now) {
		return nil
	}
	if err := s.cfg.Queue.Discard(ctx, id); err != nil {
		return err
	}
	if err := s.cfg.Imports.Delete(ctx, r); err != nil {
		return err
	}
	s.metrics.forgotten.Inc()
	s.mu.Lock()
	delete(s.ended, id)
	s.mu.Unlock()
	return nil
}

// sweep discards messages of imports that have ended, or that have no record any
// more: what is left of one whose coordinator died between its last two steps, and
// what somebody who was away stored after that. A record is stored before the first
// message of its import, but ids may be what was there a while ago: hence who is not
// among them is looked for. What a survey saw is discarded once: it says nothing of
// what is there after that.
func (s *Service) sweep(ctx context.Context, seen *survey, ids []string) error {
	if seen == nil || seen.number == s.swept {
		return nil
	}
	orphans := make(map[string]bool)
	for id := range seen.Partitions {
		orphans[id] = true
	}
	for id := range seen.Covers {
		orphans[id] = true
	}
	s.mu.Lock()
	for _, id := range ids {
		if _, ended := s.ended[id]; !ended {
			delete(orphans, id)
		}
	}
	s.mu.Unlock()
	var errs []error
	for id := range orphans {
		record, err := s.attend(ctx, id)
		if fault.Is(err, fault.Broken) {
			continue // scan names it
		}
		if errs = append(errs, err); err != nil || !record.State.Ended() {
			continue
		}
		s.cfg.Log.Debug("messages of an import that is over are discarded", "import_id", id)
		errs = append(errs, s.cfg.Queue.Discard(ctx, id))
	}
	err := errors.Join(errs...)
	if err == nil {
		s.swept = seen.number
	}
	return err
}

// showImports sets the metric that tells how many imports there are. Imports that this one drives are counted as of its last step.
func (s *Service) showImports(running []imports.Record) {
	counts := make(map[imports.State]int)
	s.mu.Lock()
	for _, record := range running {
		if !s.driving[record.Job.ImportID] {
			counts[record.State]++
		}
	}
	for id := range s.driving {
		state := imports.Running
		if p := s.progress[id]; p != nil {
			state = p.state()
		}
		counts[state]++
	}
	for _, e := range s.ended {
		counts[e.state]++
	}
	s.mu.Unlock()
	for _, state := range states {
		s.metrics.fleet.imports.WithLabelValues(string(state)).Set(float64(counts[state]))
	}
}
