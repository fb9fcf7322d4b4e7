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
	"log/slog"
	"slices"
	"sync"
	"time"

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

// branch is the queue of one branch.
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
	t := &Turn{q, b}
	t.claimIf(ctx, q.contended(b))
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

// contended reports whether imports wait for a turn.
func (q *Queues) contended(b *branch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(b.waiting) > 0
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
