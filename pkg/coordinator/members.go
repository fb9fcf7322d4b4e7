package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// memberPrefix leads the names of the leases that tell which coordinators are
// alive.
const memberPrefix = "coordinator."

// enlistAgain is how long it takes to try again to get the lease.
const enlistAgain = 500 * time.Millisecond

// enlist keeps the lease of this coordinator until ctx ends, then releases it,
// whereupon others take its imports over at once. While it is lost, because NATS
// was out of reach for as long as it lives, others may do so too: then two drive
// an import until one of them sees in its record that it is not the driver.
func (s *Service) enlist(ctx context.Context) {
	for ctx.Err() == nil {
		lease, err := s.cfg.Queue.Acquire(ctx, memberPrefix+s.session, s.cfg.Holder)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, queue.ErrHeld) {
				s.cfg.Log.Warn("enlist as a coordinator", "err", err)
			}
			_ = pause.For(ctx, enlistAgain) // the loop looks at ctx
			continue
		}
		select {
		case <-lease.Lost():
		case <-ctx.Done():
			s.resign(ctx, lease)
		}
	}
}

func (s *Service) resign(ctx context.Context, lease *queue.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkEvery)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		s.cfg.Log.Debug("resign as a coordinator", "err", err)
	}
}

// members returns the coordinators that are alive, by the names that records
// have for them. This one counts, with or without its lease.
func (s *Service) members(ctx context.Context) ([]string, error) {
	names, err := s.cfg.Queue.Leases(ctx, memberPrefix)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i] = name[len(memberPrefix):]
	}
	if !slices.Contains(names, s.session) {
		names = append(names, s.session)
	}
	return names, nil
}
