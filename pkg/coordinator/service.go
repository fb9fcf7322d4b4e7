// Package coordinator is the import service: it accepts requests to import, plans each
// import as a partition of the key space, folds the covers that workers publish, and
// commits the result to a branch.
//
//	Start ─▶ record ─▶ plan ─▶ partitions ═▶ workers ═▶ covers ─▶ fold ─▶ commit
//	                    ▲                                          │
//	                    └────────────── gaps ──────────────────────┘
//
// Any number of coordinators may run, and any of them answers any request. Each import
// has one driver, the coordinator that its record names. A coordinator that is alive
// holds a lease. No leader is elected: when a lease expires, the peers of its holder take
// over its imports. The lease only avoids double work. Correctness does not depend on it:
// every step is a compare-and-swap, or harmless twice.
//
// The parts, each with its own state:
//
//   - Service answers requests; validator refuses those that cannot be served.
//   - supervisor starts drivers, and takes over imports whose driver is gone.
//   - driver takes one import from its plan (planner) over its gaps (gapCloser) to its
//     commit (lander); stepRunner bounds its costly steps.
//   - fleetWatch surveys the work queue, and listens to workers.
//   - cleanup removes what imports leave behind.
//   - peers, follow and branchqueue are packages of their own: which coordinators are
//     alive, what is covered, and whose turn it is on a branch.
package coordinator

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/coordinator/peers"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// Config is what a service works with. All fields are required but Allowed, Namespaces and
// Markers.
type Config struct {
	Backend    *backend.Backend
	Imports    *imports.Store
	Catalog    *catalog.Catalog
	Stores     objectstore.Chooser
	Trials     Trials            // of the same buckets; for TrySource alone
	Breaks     partition.Breaks  // of the imports that this service starts
	Allowed    []objectstore.URI // what may be imported lies within one of them; empty: any source may
	Namespaces []objectstore.URI // storage namespaces lie within one of them; empty: anywhere that holds no source
	Markers    imports.Markers   // of the imports that this service starts; empty: FailMarkers
	Requests   State             // the same state, for the calls of users' requests, which wait less for NATS; zero: Backend, Imports and Catalog
	Holder     string            // names this process to people who look at leases
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// State is how the service reaches what is stored.
type State struct {
	Backend *backend.Backend
	Imports *imports.Store
	Catalog *catalog.Catalog
}

// checkEvery is how often the work queue, and the record of a driven import, are looked
// at.
const checkEvery = time.Second

// Service is the import service. Its methods may be called concurrently.
type Service struct {
	cfg     Config
	state   State  // for the calls of requests
	session string // names this run of the process in leases and records
	metrics *metrics
	running atomic.Bool // Run was called

	validate *validator
	tables   *tablecache.Cache        // of the trees that are looked up
	trials   chan struct{}            // holds a value for each trial that runs
	limits   stepLimits               // of all drivers
	slow     map[string]time.Duration // see slowSteps

	watch      *fleetWatch
	peers      *peers.Registry
	branches   *branchqueue.Queues
	followers  *follow.Followers
	drivers    *drivers
	cleanup    *cleanup
	supervisor *supervisor
}

// New returns a service. It answers requests, and does nothing by itself before Run.
func New(cfg Config) *Service {
	state := cfg.Requests
	if state == (State{}) {
		state = State{cfg.Backend, cfg.Imports, cfg.Catalog}
	}
	s := &Service{
		cfg: cfg, state: state, session: xid.New().String(), metrics: newMetrics(cfg.Registerer),
		tables: tablecache.New(limits.TableCache, cfg.Registerer), trials: make(chan struct{}, limits.Trials),
		limits: newStepLimits(), slow: slowSteps(),
		drivers: newDrivers(),
	}
	broken := &brokenRecords{shown: s.metrics.broken, log: cfg.Log}
	s.validate = &validator{
		imports: state.Imports, catalog: state.Catalog, stores: cfg.Stores,
		allowed: cfg.Allowed, namespaces: cfg.Namespaces, broken: broken,
	}
	s.peers = peers.New(peers.Config{Leases: cfg.Backend.Leases, ID: s.session, Holder: cfg.Holder, Log: cfg.Log, Registerer: cfg.Registerer})
	s.branches = newBranchQueues(cfg, s.peers, branchqueue.DefaultPatience)
	s.followers = follow.New(follow.Config{Covers: cfg.Backend.Covers, Log: cfg.Log, Registerer: cfg.Registerer})
	s.watch = newFleetWatch(cfg, func(seen backend.Survey) { showLag(s.followers, s.drivers, seen) })
	s.cleanup = newCleanup(cfg, s.followers, s.metrics.forgotten)
	s.supervisor = &supervisor{
		imports: cfg.Imports, session: s.session, watch: s.watch, peers: s.peers, followers: s.followers,
		drivers: s.drivers, cleanup: s.cleanup, broken: broken, start: s.startDriver, metrics: s.metrics, now: cfg.Now, log: cfg.Log,
	}
	return s
}

// newBranchQueues returns queues that wait so long for a branch that a peer has claimed.
func newBranchQueues(cfg Config, peers *peers.Registry, patience time.Duration) *branchqueue.Queues {
	return branchqueue.New(branchqueue.Config{
		Leases: cfg.Backend.Leases, Holder: cfg.Holder, Alone: peers.Alone, Patience: patience, Now: cfg.Now, Log: cfg.Log,
	})
}

// Run drives imports until ctx ends, and returns once nothing runs any more. It is
// called once.
func (s *Service) Run(ctx context.Context) {
	s.running.Store(true)
	registered, deregister := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { s.peers.Run(registered) })
	background.Go(func() { s.watch.run(ctx) })
	s.supervisor.run(ctx)
	s.close()
	deregister() // after the last driver has stopped
	background.Wait()
}

// close stops drivers and followers, and waits for them.
func (s *Service) close() {
	s.drivers.close()
	s.followers.Close()
}

// follow returns the progress of an import, and starts to follow its covers if that is
// not done yet. It is nil if the import has ended or the service has stopped.
//
// cleanup records that an import has ended before it unfollows it. So an import that ends
// meanwhile is unfollowed either there or here.
func (s *Service) follow(id string) *follow.Progress {
	p := s.followers.Follow(id)
	if p != nil && s.cleanup.hasEnded(id) {
		s.followers.Unfollow(id)
		return nil
	}
	return p
}

// startDriver drives the import in the background, unless it is driven already.
func (s *Service) startDriver(id string) {
	s.drivers.start(id, func(ctx context.Context) {
		s.metrics.driving.Inc()
		defer s.metrics.driving.Dec()
		if err := s.drive(ctx, id); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("drive an import", "import_id", id, "err", err)
		}
	})
}

// drive drives an import until it has ended, another coordinator drives it, or ctx ends.
func (s *Service) drive(ctx context.Context, id string) error {
	if d := s.newDriver(id); d != nil {
		return d.run(ctx)
	}
	return nil
}

// newDriver returns a driver of the import. It is nil if the import has ended or the
// service has stopped.
func (s *Service) newDriver(id string) *driver {
	progress := s.follow(id)
	if progress == nil {
		return nil
	}
	imp := &importHandle{id: id, store: s.cfg.Imports, metrics: s.metrics, now: s.cfg.Now, log: s.cfg.Log.With("import_id", id)}
	steps := &stepRunner{imp: imp, limits: s.limits, slow: s.slow}
	gaps := newGapCloser(imp, s.cfg.Backend.Queue, s.watch, progress)
	return &driver{
		imp: imp, session: s.session, progress: progress, gaps: gaps,
		planner: &planner{imp: imp, stores: s.cfg.Stores, steps: steps, publish: gaps.publish},
		lander: &lander{
			imp: imp, catalog: s.cfg.Catalog, stores: s.cfg.Stores, covers: s.cfg.Backend.Covers, progress: progress,
			branches: s.branches, steps: steps,
		},
		backend: s.cfg.Backend, watch: s.watch, cleanup: s.cleanup, drivers: s.drivers,
	}
}

// showLag shows how far the covers of the imports that are driven here have come in.
func showLag(followers *follow.Followers, drivers *drivers, seen backend.Survey) {
	stored := maps.Clone(seen.Covers)
	driven := drivers.all()
	maps.DeleteFunc(stored, func(id string, _ uint64) bool { _, ok := driven[id]; return !ok })
	followers.ShowLag(stored)
}
