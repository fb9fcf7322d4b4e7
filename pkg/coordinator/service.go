// Package coordinator is the import service: it takes requests to import, cuts
// the key space into partitions, folds the workers' covers, and lands the
// result on a branch.
//
//	Start ─▶ record ─▶ plan ─▶ partitions ═▶ workers ═▶ covers ─▶ fold ─▶ commit
//	                    ▲                                          │
//	                    └────────────── gaps ──────────────────────┘
//
// Any number of coordinators may run, and any of them answers any request. Each
// import is driven by the one that its record names. A coordinator holds a lease
// that tells that it is alive; once it has expired, others take the imports
// over. This saves work and protects nothing: every step is a compare-and-swap
// or can be done twice.
package coordinator

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/coordinator/peers"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// Config is what a service works with. All fields are required but Allowed, Namespaces and
// Markers.
type Config struct {
	Queue      *queue.Queue
	Imports    *imports.Store
	Catalog    *catalog.Catalog
	Stores     objectstore.Chooser
	Trials     Trials            // of the same buckets; for TrySource alone
	Breaks     partition.Breaks  // of the imports that this service starts
	Allowed    []objectstore.URI // what may be imported lies within one of them; empty: any
	Namespaces []objectstore.URI // storage namespaces lie within one of them; empty: any that holds no source
	Markers    imports.Markers   // of the imports that this service starts; empty: FailMarkers
	Holder     string            // names this process to people who look at leases
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// How the service keeps time.
const (
	scanEvery  = time.Second            // looks for imports that nobody drives
	foldEvery  = 100 * time.Millisecond // folds new covers at most so often
	checkEvery = time.Second            // looks at the queue, and at the import's state
	maxRest    = 3 * time.Second        // rests so long from one of these, if it did not take longer
	longRest   = 10 * time.Second       // rests so long at most, however long it took
	retryAfter = time.Second            // first pause after an error; it doubles
	maxRetry   = 30 * time.Second       // longest pause after errors
	catchUp    = 2 * time.Second        // longest wait of a status for covers that are stored
	keepEnded  = 24 * time.Hour         // then the record of an import is forgotten
	keepSeen   = time.Hour              // after this process saw that it has ended, it stays, whatever clocks say
)

// Service is the import service. Its methods may be called concurrently.
type Service struct {
	cfg     Config
	session string // names this run of the process in leases and records
	metrics *metrics
	running atomic.Bool    // Run was called
	work    sync.WaitGroup // followers and drivers

	tables         *tablecache.Cache // of lookups in trees
	plans, commits *limiter
	suspects       *limiter // of steps that a process may not have survived
	peers          *peers.Registry
	branches       *branchqueue.Queues
	trials         chan struct{}            // one for each that is under way
	slow           map[string]time.Duration // see slowSteps

	survey  atomic.Pointer[survey] // the last one; nil at first
	surveys atomic.Uint64          // that were begun
	swept   uint64                 // number of the survey that was swept last; for scan

	attendance attendance
	broken     broken

	// ctx is that of followers and drivers: it lasts as long as Run.
	ctx  context.Context
	stop context.CancelFunc

	mu       sync.Mutex
	progress map[string]*progress // of imports that run
	driving  map[string]bool
	ended    map[string]end // imports that ended, to forget them
}

// end is how and when an import ended.
type end struct {
	at    time.Time // by the clock of who ended it
	seen  time.Time // by this one's
	state imports.State
}

// New returns a service. It does nothing by itself before Run.
func New(cfg Config) *Service {
	ctx, stop := context.WithCancel(context.Background())
	s := &Service{
		cfg: cfg, session: xid.New().String(), metrics: newMetrics(cfg.Registerer),
		tables: tablecache.New(limits.TableCache, cfg.Registerer),
		plans:  newLimiter(plansAll, plansEach), commits: newLimiter(commitsAll, commitsEach), suspects: newLimiter(1, 1),
		slow: slowSteps(),
		trials: make(chan struct{}, limits.Trials),
		ctx:    ctx, stop: stop,
		progress: make(map[string]*progress), driving: make(map[string]bool), ended: make(map[string]end),
	}
	s.peers = peers.New(peers.Config{Queue: cfg.Queue, ID: s.session, Holder: cfg.Holder, Log: cfg.Log, Registerer: cfg.Registerer})
	s.branches = s.branchQueues(branchqueue.DefaultPatience)
	return s
}

// branchQueues returns queues that wait so long for a branch that a peer has claimed.
func (s *Service) branchQueues(patience time.Duration) *branchqueue.Queues {
	return branchqueue.New(branchqueue.Config{
		Queue: s.cfg.Queue, Holder: s.cfg.Holder, Alone: s.peers.Alone, Patience: patience,
		Now: s.cfg.Now, Log: s.cfg.Log,
	})
}

// Run drives imports until ctx ends, and returns once nothing runs any more. It
// is called once.
func (s *Service) Run(ctx context.Context) {
	s.running.Store(true)
	registered, deregister := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { s.peers.Run(registered) })
	background.Go(func() { s.keepSurveying(ctx) })
	defer background.Wait()
	defer deregister() // after the last driver has stopped
	defer s.work.Wait()
	defer s.close()
	ticks := time.NewTicker(scanEvery)
	defer ticks.Stop()
	for {
		if err := s.scan(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("look for imports", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// close ends followers and drivers. Under the lock, so that none is started
// after it.
func (s *Service) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// startDriver drives the import in the background, unless that is done already.
func (s *Service) startDriver(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.driving[id] || s.ctx.Err() != nil {
		return
	}
	s.driving[id] = true
	s.work.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.driving, id)
			s.mu.Unlock()
		}()
		if err := s.drive(s.ctx, id); err != nil && s.ctx.Err() == nil {
			s.cfg.Log.Warn("drive an import", "import_id", id, "err", err)
		}
	})
}
