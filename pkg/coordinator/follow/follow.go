// Package follow tracks the progress of running imports: it reads covers as workers
// publish them, and folds them into a chain with its gaps.
package follow

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

const (
	foldEvery  = 100 * time.Millisecond // fold the covers of an import at most this often
	healthy    = time.Second            // covers that were followed for so long without an error can be followed
	retryAfter = time.Second            // first pause after an error; it doubles
	maxRetry   = 30 * time.Second       // longest pause after errors
	catchUp    = 2 * time.Second        // longest wait for covers that are stored, while they are read from the first one on
	keepUp     = 400 * time.Millisecond // and once all were read: somebody waits for a sign of progress
	cheap      = 10 * time.Millisecond  // a fold that takes no longer is made for the rate alone
)

// Config is what followers work with. All fields are required.
type Config struct {
	Covers     *covers.Log
	Expiry     time.Duration // after so long without a report a worker does not list a partition any more
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Followers follow the covers of several imports. Its methods may be called
// concurrently.
type Followers struct {
	cfg     Config
	metrics *metrics

	ctx  context.Context // of all goroutines that follow
	stop context.CancelFunc
	work sync.WaitGroup

	mu   sync.Mutex
	byID map[string]*Progress
}

type metrics struct {
	folded   prometheus.Counter
	foldTime prometheus.Histogram
	lag      prometheus.Gauge
	bytes    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg)
	return &metrics{
		folded:   f.Counter("covers_folded_total", "Covers that this process took in."),
		foldTime: f.Histogram("fold_duration_seconds", "Time to fold the covers of one import.", metric.Buckets(0.0003, 5)),
		lag:      f.Gauge("fold_lag_covers", "Covers that are stored, of imports that this process drives, and that it has not taken in yet."),
		bytes:    f.Gauge("fold_bytes", "Memory of the covers that this process has taken in."),
	}
}

// New returns followers that follow no import yet. The caller closes them.
func New(cfg Config) *Followers {
	ctx, stop := context.WithCancel(context.Background())
	return &Followers{cfg: cfg, metrics: newMetrics(cfg.Registerer), ctx: ctx, stop: stop, byID: make(map[string]*Progress)}
}

// Follow returns the progress of an import, and starts to follow its covers if that is
// not done yet. They are followed until Unfollow. After Close it returns nil. Lines of the log name
// the trace of the import.
func (f *Followers) Follow(id string, trace tracing.Place) *Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return nil
	}
	if p := f.byID[id]; p != nil {
		return p
	}
	ctx, stop := context.WithCancel(f.ctx)
	p := newProgress(f.cfg, f.metrics, ctx.Done(), stop)
	f.byID[id] = p
	f.work.Go(func() { f.follow(trace.In(ctx), id, p) })
	return p
}

// Unfollow stops following an import, and frees its covers.
func (f *Followers) Unfollow(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.byID[id]; p != nil {
		p.stop()
		delete(f.byID, id)
	}
}

// IDs returns the imports that are followed, in any order.
func (f *Followers) IDs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.byID))
}

// Close stops following all imports, and waits until nothing runs any more.
func (f *Followers) Close() {
	f.mu.Lock()
	f.stop() // under the lock, so that Follow starts nothing after it
	f.mu.Unlock()
	f.work.Wait()
}

// all returns the imports that are followed now. Each has a lock of its own, which a fold may hold
// for long.
func (f *Followers) all() map[string]*Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.byID)
}

// ShowLag sets the metrics of what is followed. stored is the number of covers that are
// stored, of each import whose lag counts.
func (f *Followers) ShowLag(stored map[string]uint64) {
	var lag uint64
	var bytes int
	for id, p := range f.all() {
		seen, size := p.size()
		bytes += size
		lag += stored[id] - min(stored[id], seen)
	}
	f.metrics.lag.Set(float64(lag))
	f.metrics.bytes.Set(float64(bytes))
}

// follow adds covers to p as they are stored, until ctx ends.
func (f *Followers) follow(ctx context.Context, id string, p *Progress) {
	for after := retryAfter; ctx.Err() == nil; after = min(2*after, maxRetry) {
		p.reset()
		begun := time.Now()
		// A call that has gone on for so long has read all covers, or waits for NATS.
		well := time.AfterFunc(healthy, func() { p.setErr(nil) })
		err := f.cfg.Covers.Follow(ctx, id, p.add)
		well.Stop()
		if ctx.Err() != nil {
			return
		}
		p.setErr(err)
		if time.Since(begun) > maxRetry {
			after = retryAfter // it had gone well
		}
		f.cfg.Log.WarnContext(ctx, "follow covers", "import_id", id, "err", err)
		_ = pause.For(ctx, after) // the loop looks at ctx
	}
}

// Progress is how far an import is, by the covers that have come in. Its methods may be
// called concurrently.
type Progress struct {
	cfg     Config
	metrics *metrics
	stopped <-chan struct{} // closed by stop
	stop    context.CancelFunc
	changed chan struct{}

	mu      sync.Mutex
	chain   partition.Chain
	seen    uint64 // covers in chain
	caught  bool   // all covers were read that were stored when somebody waited for them
	stale   bool   // covers came in since the last fold
	last    partition.Fold
	cost    time.Duration // of the last fold
	objects int64         // the most that a fold ever had
	err     error         // why covers cannot be followed; nil while they can
	tally   progress.Tally
	step    progress.Step // that the driver told last
	gone    int64         // retries of the drivers before it
	sign    time.Time     // when the last cover, or step of a busy driver, came in
}

func newProgress(cfg Config, m *metrics, stopped <-chan struct{}, stop context.CancelFunc) *Progress {
	return &Progress{cfg: cfg, metrics: m, stopped: stopped, stop: stop, changed: make(chan struct{}, 1), stale: true}
}

// Changed yields a value after covers came in. Values that nobody receives merge.
func (p *Progress) Changed() <-chan struct{} { return p.changed }

// Fold returns the fold of all covers that came in, and their number.
func (p *Progress) Fold() (fold partition.Fold, covers uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fold()
	return p.last, p.seen
}

// fold folds the covers that came in since the last fold. The caller holds the lock.
func (p *Progress) fold() {
	if p.stale {
		begun := time.Now()
		p.last = p.chain.Fold()
		p.cost = time.Since(begun)
		p.metrics.foldTime.Observe(p.cost.Seconds())
		p.stale = false
		p.objects = max(p.objects, p.last.Objects)
	}
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

// Await waits until n covers have come in, at most for two seconds, or for 400 ms if it saw
// all come in before. It reports false if the import is not followed any more.
func (p *Progress) Await(ctx context.Context, n uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, p.patience())
	defer cancel()
	for !p.has(n) {
		select {
		case <-p.stopped:
			return false
		case <-ctx.Done():
			return true
		case <-time.After(catchUp / 200):
		}
	}
	return true
}

// patience returns how long to wait for covers that are stored.
func (p *Progress) patience() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.caught {
		return keepUp
	}
	return catchUp
}

// has reports whether n covers have come in.
func (p *Progress) has(n uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.caught = p.caught || p.seen >= n
	return p.seen >= n
}

func (p *Progress) add(c partition.Cover) {
	p.metrics.folded.Inc()
	p.mu.Lock()
	p.chain.Add(c)
	p.seen++
	p.stale = true
	p.sign = p.cfg.Now()
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
	p.chain, p.seen, p.stale, p.caught = partition.Chain{}, 0, true, false
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
