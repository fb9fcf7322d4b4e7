// Package branchqueue serializes the imports that commit to one branch: by a queue for
// each branch in this process, and by a lease on the branch among coordinators.
//
// It saves work and protects nothing. Two imports that commit to a branch at the same
// time undo each other's work, since each merges its ranges into the head that it read.
// Branches move by compare-and-swap, whoever has the turn or the lease.
package branchqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// DefaultPatience is longer than a lease outlives its holder.
const DefaultPatience = 15 * time.Second

// Config is what the queues work with. All fields are required.
type Config struct {
	Leases   *kv.Leases
	Holder   string        // names this process to people who look at leases
	Alone    func() bool   // reports whether no other coordinator is alive
	Patience time.Duration // how long to wait for a branch that another coordinator has claimed
	Now      func() time.Time
	Log      *slog.Logger
}

// Queues are the queues of all branches. Its methods may be called concurrently.
type Queues struct {
	cfg Config

	mu       sync.Mutex
	branches map[string]*branch // those that an import has the turn of
}

type branch struct {
	name    string
	waiting []*waiter // in the order of arrival
	given   int       // turns given to imports that had waited
	claim   claim     // belongs to the import that has the turn
}

type waiter struct {
	objects int64
	turn    chan struct{} // closed when it is this import's turn
}

// Turn is the right of an import to commit to a branch. It is for one goroutine.
type Turn struct {
	queues *Queues
	branch *branch
}

// New returns empty queues.
func New(cfg Config) *Queues {
	return &Queues{cfg: cfg, branches: make(map[string]*branch)}
}

// Wait waits until it is the turn of an import of so many objects to commit to the
// branch, or until ctx ends. The caller releases the turn.
//
// Every other turn goes to the smallest import that waits, so that it does not wait
// behind many large ones. The turns between go to the import that has waited longest,
// so that none waits for ever.
func (q *Queues) Wait(ctx context.Context, branch string, objects int64) (*Turn, error) {
	b, w := q.join(branch, objects)
	select {
	case <-w.turn:
	case <-ctx.Done():
		if q.quit(b, w) {
			return nil, ctx.Err()
		} // else the turn was given at the same moment, and the caller gives it back
	}
	q.mu.Lock()
	contended := len(b.waiting) > 0
	q.mu.Unlock()
	t := &Turn{q, b}
	t.claimIf(ctx, contended)
	return t, nil
}

// Release gives the turn to the next import that waits in this process. The claim goes
// with it, unless other coordinators have waited for long enough.
func (t *Turn) Release(ctx context.Context) {
	if t.queues.cfg.Now().Sub(t.branch.claim.since) >= claimFor {
		t.unclaim(ctx)
	}
	if !t.queues.next(t.branch) {
		t.unclaim(ctx)
	}
}

func (q *Queues) join(name string, objects int64) (*branch, *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{objects, make(chan struct{})}
	b := q.branches[name]
	if b == nil {
		b = &branch{name: name}
		q.branches[name] = b
		close(w.turn)
	} else {
		b.waiting = append(b.waiting, w)
	}
	return b, w
}

// quit takes w out of the queue. It reports whether w still waited.
func (q *Queues) quit(b *branch, w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(b.waiting)
	b.waiting = slices.DeleteFunc(b.waiting, func(other *waiter) bool { return other == w })
	return len(b.waiting) < n
}

// next gives the turn to an import that waits. It reports false if none does: then b
// is not the branch's queue any more.
func (q *Queues) next(b *branch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(b.waiting) == 0 {
		delete(q.branches, b.name)
		return false
	}
	chosen := b.waiting[0]
	if b.given%2 == 0 {
		chosen = slices.MinFunc(b.waiting, func(a, b *waiter) int { return cmp.Compare(a.objects, b.objects) })
	}
	b.given++
	b.waiting = slices.DeleteFunc(b.waiting, func(w *waiter) bool { return w == chosen })
	close(chosen.turn)
	return true
}

// How coordinators share a branch.
const (
	leasePrefix   = "branch."              // of the names of the leases by which they claim it
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
		t.queues.cfg.Log.WarnContext(ctx, "claim a branch", "branch", t.branch.name, "err", err)
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
		cfg.Log.DebugContext(ctx, "release the claim of a branch", "branch", t.branch.name, "err", err)
	}
	*c = claim{next: cfg.Now().Add(pollEvery + pollEvery/2)}
}
