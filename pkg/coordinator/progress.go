package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// progress follows the covers of one import. Its methods may be called
// concurrently.
type progress struct {
	metrics *metrics
	stop    context.CancelFunc
	stopped <-chan struct{} // closed by stop
	changed chan struct{}   // a tick after covers came in; ticks merge

	mu      sync.Mutex
	chain   partition.Chain
	seen    uint64 // covers that came in
	stale   bool   // covers came in since the last fold
	last    partition.Fold
	cost    time.Duration // of the last fold
	objects int64         // the most objects that a fold ever had
	reached imports.State // that the driver saw last
	failure error         // why covers cannot be followed; nil while they are

	hindrance hindrance // see hindered
}

// follow returns the progress of an import, and starts to follow it if nobody
// did. It is followed until it is retired or forgotten. It is nil if it was retired already,
// or the service has stopped.
func (s *Service) follow(id string) *progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.progress[id]; p != nil {
		return p
	}
	if _, ended := s.ended[id]; ended || s.ctx.Err() != nil {
		return nil
	}
	ctx, stop := context.WithCancel(s.ctx)
	p := &progress{metrics: s.metrics, stop: stop, stopped: ctx.Done(), changed: make(chan struct{}, 1), stale: true, reached: imports.Running}
	s.progress[id] = p
	s.work.Go(func() { s.followCovers(ctx, id, p) })
	return p
}

// unfollow ends that an import is followed.
func (s *Service) unfollow(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.progress[id]; p != nil {
		p.stop()
		delete(s.progress, id)
	}
}

// followCovers adds covers to p as they come, until ctx ends.
func (s *Service) followCovers(ctx context.Context, id string, p *progress) {
	for after := retryAfter; ctx.Err() == nil; after = min(2*after, maxRetry) {
		p.reset()
		begun := time.Now()
		// What goes on for so long has read all covers, or waits for NATS.
		well := time.AfterFunc(checkEvery, func() { p.noteFollowing(nil) })
		err := s.cfg.Queue.FollowCovers(ctx, id, p.add)
		well.Stop()
		if ctx.Err() != nil {
			return
		}
		p.noteFollowing(err)
		if time.Since(begun) > maxRetry {
			after = retryAfter // it went well for long
		}
		s.cfg.Log.Warn("follow covers", "import_id", id, "err", err)
		_ = pause.For(ctx, after) // the loop looks at ctx
	}
}

// reset forgets the covers: they are about to be followed from the first one.
func (p *progress) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chain, p.seen, p.stale = partition.Chain{}, 0, true
}

// noteFollowing notes whether covers can be followed: nil is that they can.
func (p *progress) noteFollowing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

// following returns why covers cannot be followed, or nil.
func (p *progress) following() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func (p *progress) add(c partition.Cover) {
	p.metrics.folded.Inc()
	p.mu.Lock()
	p.chain.Add(c)
	p.seen++
	p.stale = true
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// fold returns the fold of all covers that came in, and how many they are.
func (p *progress) fold() (partition.Fold, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stale {
		begun := time.Now()
		p.last = p.chain.Fold()
		p.cost = time.Since(begun)
		p.metrics.foldTime.Observe(p.cost.Seconds())
		p.stale = false
		p.objects = max(p.objects, p.last.Objects)
	}
	return p.last, p.seen
}

// rest is how long to wait before the next fold.
func (p *progress) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return restAfter(p.cost, foldEvery)
}

// restAfter returns how long to rest from what is done again and again, at least
// for a time, and took so long just now: so that it takes a tenth of the time.
// What took very long may have met a server or a process that stood still, which
// says nothing of the next time: after that it may take half of the time, or more.
func restAfter(took, least time.Duration) time.Duration {
	return max(least, min(10*took, max(took, maxRest), longRest))
}

// covered returns the number of distinct keys covered so far, which never
// falls, and of ranges.
func (p *progress) covered() (objects int64, ranges int) {
	fold, _ := p.fold()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.objects, fold.Ranges
}

// count returns how many covers came in, and bytes about what they take.
func (p *progress) count() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func (p *progress) bytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.chain.Bytes()
}

// reach notes the state of the import, and state returns it.
func (p *progress) reach(state imports.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reached = state
}

func (p *progress) state() imports.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reached
}

// await waits until n covers have come in, but not longer than catchUp. It is
// false if nobody follows them any more.
func (p *progress) await(ctx context.Context, n uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	tick := time.NewTicker(catchUp / 200)
	defer tick.Stop()
	for {
		if p.count() >= n {
			return true
		}
		select {
		case <-p.stopped:
			return false
		case <-ctx.Done():
			return true
		case <-tick.C:
		}
	}
}
