package follow

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Progress is how far an import is, by the covers that have come in. Its methods may be
// called concurrently.
type Progress struct {
	metrics *metrics
	stopped <-chan struct{} // closed by stop
	stop    context.CancelFunc
	changed chan struct{}

	mu      sync.Mutex
	chain   partition.Chain
	seen    uint64 // covers in chain
	stale   bool   // covers came in since the last fold
	last    partition.Fold
	cost    time.Duration // of the last fold
	objects int64         // the most that a fold ever had
	err     error         // why covers cannot be followed; nil while they can
}

func newProgress(m *metrics, stopped <-chan struct{}, stop context.CancelFunc) *Progress {
	return &Progress{metrics: m, stopped: stopped, stop: stop, changed: make(chan struct{}, 1), stale: true}
}

// Changed yields a value after covers came in. Values that nobody receives merge.
func (p *Progress) Changed() <-chan struct{} { return p.changed }

// Fold returns the fold of all covers that came in, and their number.
func (p *Progress) Fold() (fold partition.Fold, covers uint64) {
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

// Covered returns the number of distinct keys covered so far, which never falls, and
// the number of ranges.
func (p *Progress) Covered() (objects int64, ranges int) {
	fold, _ := p.Fold()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.objects, fold.Ranges
}

// Rest returns how long to wait before the next fold.
func (p *Progress) Rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pause.After(p.cost, foldEvery)
}

// Err returns why covers cannot be followed at present, or nil. While it is not nil, a
// cover that is missing may be stored.
func (p *Progress) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Await waits until n covers have come in, at most for two seconds. It reports false if
// the import is not followed any more.
func (p *Progress) Await(ctx context.Context, n uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	tick := time.NewTicker(catchUp / 200)
	defer tick.Stop()
	for {
		if seen, _ := p.size(); seen >= n {
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

func (p *Progress) add(c partition.Cover) {
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

// reset forgets the covers, which are about to come in again from the first one.
func (p *Progress) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chain, p.seen, p.stale = partition.Chain{}, 0, true
}

func (p *Progress) setErr(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// size returns how many covers came in, and about how many bytes they take.
func (p *Progress) size() (seen uint64, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen, p.chain.Bytes()
}
