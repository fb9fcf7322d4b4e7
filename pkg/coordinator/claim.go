package coordinator

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// claimPrefix leads the names of the leases by which coordinators claim branches.
const claimPrefix = "branch."

// How coordinators take turns on a branch.
const (
	claimFor      = 500 * time.Millisecond // then others are let in
	claimEvery    = 40 * time.Millisecond  // looks whether a branch is free again, jittered
	claimPatience = 15 * time.Second       // then an import lands all the same; longer than a lease outlives its holder
)

// claim is what a coordinator holds that is to be the only one that lands imports
// on a branch. It saves work and protects nothing: branches move by
// compare-and-swap, whoever has claimed them.
type claim struct {
	lease *queue.Lease // nil: none
	since time.Time
	next  time.Time // others are let in before
	vain  bool      // it was waited for in vain
}

// claim waits until no other coordinator lands imports on the branch of the line,
// but no longer than for s.patience, and only one import of a line does. It claims
// the branch if the import has rivals, here or elsewhere: else, or where there is no
// other coordinator, that would cost more than it saves.
func (s *Service) claim(ctx context.Context, line *line, rivals bool) {
	c := &line.claim
	if c.lease != nil || c.vain || s.alive.Load() == 1 || !rivals && !s.claimed(ctx, line) {
		return
	}
	begun := s.cfg.Now()
	_ = pause.For(ctx, c.next.Sub(begun)) // the loop looks at ctx
	for ctx.Err() == nil {
		lease, err := s.cfg.Queue.Acquire(ctx, claimPrefix+line.branch, s.cfg.Holder)
		now := s.cfg.Now()
		switch {
		case err == nil:
			*c = claim{lease: lease, since: now}
			return
		case !errors.Is(err, queue.ErrHeld):
			s.goWithout(ctx, line, err)
			return
		case now.Sub(begun) >= s.patience:
			c.vain = true
			return
		}
		_ = pause.For(ctx, claimEvery/2+rand.N(claimEvery/2))
	}
}

// claimed reports whether somebody has claimed the branch of the line.
func (s *Service) claimed(ctx context.Context, line *line) bool {
	name := claimPrefix + line.branch
	names, err := s.cfg.Queue.Leases(ctx, name)
	if err != nil {
		s.goWithout(ctx, line, err)
	}
	return slices.Contains(names, name)
}

// goWithout tells of what the queue has tried for long already. The import lands without
// a claim then: at worst in vain, if another one is faster.
func (s *Service) goWithout(ctx context.Context, line *line, err error) {
	if ctx.Err() == nil {
		s.cfg.Log.Warn("claim a branch", "branch", line.branch, "err", err)
	}
}

// leave gives the turn of a line to the next one, with the claim, unless others had
// to wait for long enough.
func (s *Service) leave(ctx context.Context, line *line) {
	if s.cfg.Now().Sub(line.claim.since) >= claimFor {
		s.unclaim(ctx, line)
	}
	if !s.lines.leave(line) {
		s.unclaim(ctx, line)
	}
}

// unclaim gives a claim up, if there is one.
func (s *Service) unclaim(ctx context.Context, line *line) {
	c := &line.claim
	if c.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkEvery)
	defer cancel()
	if err := c.lease.Release(ctx); err != nil {
		s.cfg.Log.Debug("give up the claim to a branch", "err", err)
	}
	*c = claim{next: s.cfg.Now().Add(claimEvery + claimEvery/2)}
}
