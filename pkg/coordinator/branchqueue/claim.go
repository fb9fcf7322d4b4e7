package branchqueue

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// leasePrefix leads the names of the leases by which coordinators claim branches.
const leasePrefix = "branch."

// How coordinators share a branch.
const (
	claimFor      = 500 * time.Millisecond // then a claim is given up, so that other coordinators get the branch
	pollEvery     = 40 * time.Millisecond  // how often a coordinator tries to claim a branch that is claimed, jittered
	releaseWithin = time.Second            // deadline for giving up a claim
)

// claim is a coordinator's exclusive use of a branch, by a lease.
type claim struct {
	lease  *kv.Lease // nil: the branch is not claimed
	since  time.Time
	next   time.Time // do not claim the branch again before, so that others can
	gaveUp bool      // the branch stayed claimed by another coordinator for Config.Patience
}

// Claim claims the branch for this coordinator. It is called when another coordinator
// has moved the branch. It waits while another one has claimed it, at most for
// Config.Patience, and then lets the import go on without a claim.
func (t *Turn) Claim(ctx context.Context) { t.claimIf(ctx, true) }

// claimIf claims the branch if imports contend for it, here or in another coordinator.
// Otherwise, or if there is no other coordinator, a claim would cost more than it saves.
// Only one import of a queue waits for a claim in vain.
func (t *Turn) claimIf(ctx context.Context, contended bool) {
	cfg, c := &t.queues.cfg, &t.branch.claim
	if c.lease != nil || c.gaveUp || cfg.Alone() || !contended && !t.claimedByAny(ctx) {
		return
	}
	begun := cfg.Now()
	_ = pause.For(ctx, c.next.Sub(begun)) // the loop looks at ctx
	for ctx.Err() == nil {
		lease, err := cfg.Leases.Acquire(ctx, leasePrefix+t.branch.name, cfg.Holder)
		now := cfg.Now()
		switch {
		case err == nil:
			*c = claim{lease: lease, since: now}
			return
		case !errors.Is(err, kv.ErrHeld):
			t.warn(ctx, err)
			return
		case now.Sub(begun) >= cfg.Patience:
			c.gaveUp = true
			return
		}
		_ = pause.For(ctx, pollEvery/2+rand.N(pollEvery/2))
	}
}

// claimedByAny reports whether a coordinator has claimed the branch.
func (t *Turn) claimedByAny(ctx context.Context) bool {
	name := leasePrefix + t.branch.name
	names, err := t.queues.cfg.Leases.Held(ctx, name)
	if err != nil {
		t.warn(ctx, err)
	}
	return slices.Contains(names, name)
}

// warn logs an error of the queue, which has tried again for long already. The import
// goes on without a claim: at worst its work is in vain, if another one is faster.
func (t *Turn) warn(ctx context.Context, err error) {
	if ctx.Err() == nil {
		t.queues.cfg.Log.Warn("claim a branch", "branch", t.branch.name, "err", err)
	}
}

// unclaim gives up the claim, if there is one.
func (t *Turn) unclaim(ctx context.Context) {
	cfg, c := &t.queues.cfg, &t.branch.claim
	if c.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	if err := c.lease.Release(ctx); err != nil {
		cfg.Log.Debug("release the claim of a branch", "branch", t.branch.name, "err", err)
	}
	*c = claim{next: cfg.Now().Add(pollEvery + pollEvery/2)}
}
