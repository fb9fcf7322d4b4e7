package coordinator

import (
	"context"
	"errors"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// survey is what the queue held of all imports, and its number: whoever changed
// the queue before a survey of a higher number began sees the change in it.
type survey struct {
	queue.Survey
	number uint64
}

// keepSurveying takes surveys until ctx ends.
func (s *Service) keepSurveying(ctx context.Context) {
	if err := errors.Join(s.attendance.listen(ctx, s.cfg.Queue), s.cfg.Queue.HearTrouble(ctx, s.hearTrouble)); err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("listen to workers", "err", err)
	}
	for ctx.Err() == nil {
		rest := checkEvery
		if err := s.takeSurvey(ctx); err == nil {
			rest = restAfter(s.survey.Load().Took, checkEvery)
		} else if ctx.Err() == nil {
			s.cfg.Log.Warn("look at the queue", "err", err)
			s.restore(ctx, err)
		}
		_ = pause.For(ctx, rest) // the loop looks at ctx
	}
}

// restore makes anew what a survey missed. What was in it are gaps, and lost covers.
func (s *Service) restore(ctx context.Context, missed error) {
	if !errors.Is(missed, queue.ErrMissing) {
		return
	}
	if err := s.cfg.Queue.Restore(ctx); err != nil {
		s.cfg.Log.Warn("make the queue anew", "err", err)
		return
	}
	s.cfg.Log.Warn("the queue was made anew")
}

func (s *Service) takeSurvey(ctx context.Context) error {
	number := s.surveys.Add(1)
	seen, err := s.cfg.Queue.Survey(ctx)
	if err != nil {
		return err
	}
	s.survey.Store(&survey{seen, number})
	s.attendance.note(seen, s.cfg.Now())
	s.showSurvey(seen)
	return nil
}

// showSurvey sets the metrics that tell of the queue.
func (s *Service) showSurvey(seen queue.Survey) {
	m := &s.metrics.fleet
	m.partitions.WithLabelValues("queued").Set(float64(seen.Queued))
	m.partitions.WithLabelValues("running").Set(float64(seen.Running))
	m.redelivered.Set(float64(seen.Redelivered))
	m.waiting.Set(float64(seen.Waiting))
	var stored, lag uint64
	var bytes int
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range seen.Covers {
		stored += n
		if p := s.progress[id]; p != nil && s.driving[id] {
			lag += n - min(n, p.count())
		}
	}
	for _, p := range s.progress {
		bytes += p.bytes()
	}
	m.covers.Set(float64(stored))
	m.lag.Set(float64(lag))
	m.foldBytes.Set(float64(bytes))
}
