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
)

const (
	foldEvery  = 100 * time.Millisecond // fold the covers of an import at most this often
	healthy    = time.Second            // covers that were followed for so long without an error can be followed
	retryAfter = time.Second            // first pause after an error; it doubles
	maxRetry   = 30 * time.Second       // longest pause after errors
	catchUp    = 2 * time.Second        // longest wait for covers that are stored
)

// Config is what followers work with. All fields are required.
type Config struct {
	Covers     *covers.Log
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
		foldTime: f.Histogram("fold_duration_seconds", "Time to fold the covers of one import.", prometheus.ExponentialBuckets(0.0001, 10, 6)),
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
// not done yet. They are followed until Unfollow. After Close it returns nil.
func (f *Followers) Follow(id string) *Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return nil
	}
	if p := f.byID[id]; p != nil {
		return p
	}
	ctx, stop := context.WithCancel(f.ctx)
	p := newProgress(f.metrics, ctx.Done(), stop)
	f.byID[id] = p
	f.work.Go(func() { f.follow(ctx, id, p) })
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

// ShowLag sets the metrics of what is followed. stored is the number of covers that are
// stored, of each import whose lag counts.
func (f *Followers) ShowLag(stored map[string]uint64) {
	f.mu.Lock()
	all := maps.Clone(f.byID)
	f.mu.Unlock()
	var lag uint64
	var bytes int
	for id, p := range all { // each has a lock of its own, which a fold may hold for long
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
		f.cfg.Log.Warn("follow covers", "import_id", id, "err", err)
		_ = pause.For(ctx, after) // the loop looks at ctx
	}
}
