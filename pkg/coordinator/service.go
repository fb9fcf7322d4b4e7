// Package coordinator is the import service: it accepts requests to import, plans each
// import as a partition of the key space, folds the covers that workers publish, and
// commits the result to a branch. Any number of coordinators may run, and any of them
// answers any request.
//
//	Start ─▶ record ─▶ plan ─▶ partitions ═▶ workers ═▶ covers ─▶ fold ─▶ commit
//	                    ▲                                          │
//	                    └────────────── gaps ──────────────────────┘
package coordinator

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"
	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/coordinator/peers"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// Config is what a service works with. All fields are required but Requests, LakeFS,
// MayImport, Refused, Landings, Allowed, Namespaces, Markers and Traces.
type Config struct {
	State
	Requests   State // the same state, for the calls of users' requests, which wait less for NATS; zero: State
	Stores     objectstore.Chooser
	Roles      roles.Table                       // with which Stores reads sources
	LakeFS     *lakefs.Session                   // the service account at the lakeFS server that keeps repositories; nil: they are in the catalog
	Landings   landing.Config                    // of imports there
	SkipHooks  bool                              // import there to branches with pre-commit hooks, which do not run
	Trials     Trials                            // of the same buckets; for TrySource alone
	Breaks     partition.Breaks                  // of the imports that this service starts
	Allowed    []objectstore.URI                 // what may be imported lies within one of them; empty: any source may
	Namespaces []objectstore.URI                 // storage namespaces lie within one of them; empty: anywhere that holds no source
	Reserved   func(bytes int)                   // is told what landings reserve, see metarange.NewBudget; it may be nil
	Markers    imports.Markers                   // of the imports that this service starts; empty: FailMarkers
	MayImport  MayImport                         // asked before a commit; nil: what was granted at the start holds
	Refused    func(r imports.Record, why error) // is told of imports that are not committed as their callers may not import any more; it may be nil
	Holder     string                            // names this process to people who look at leases
	Traces     trace.TracerProvider              // of imports; nil: none
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
	tracer  trace.Tracer
	running atomic.Bool // Run was called

	validate    *validator
	comparisons *metarange.Budget // of all landings
	tables      *tablecache.Cache // of the trees that are looked up
	trials      chan struct{}     // holds a value for each trial that runs
	looks       looks             // of all requests to create metaranges
	limits      stepLimits        // of all drivers
	lakefs      *serverHome       // nil: repositories are in the catalog
	callers     *callers

	watch      *fleetWatch
	peers      *peers.Registry
	branches   *branchqueue.Queues
	followers  *follow.Followers
	beats      beats
	drivers    *drivers
	ages       *ages
	cleanup    *cleanup
	supervisor *supervisor
}

// New returns a service. It answers requests, and does nothing by itself before Run.
func New(cfg Config) *Service {
	state := cmp.Or(cfg.Requests, cfg.State)
	s := &Service{
		cfg: cfg, state: state, session: xid.New().String(), metrics: newMetrics(cfg.Registerer), tracer: tracing.Tracer(cfg.Traces),
		tables: tablecache.New(limits.TableCache, cfg.Registerer), trials: make(chan struct{}, limits.Trials), looks: newLooks(),
		limits: newStepLimits(), drivers: newDrivers(), callers: newCallers(),
		ages: newAges(cfg.Registerer, cfg.Now),
	}
	broken := &brokenRecords{shown: s.metrics.broken, log: cfg.Log, of: make(map[string]map[string]string)}
	s.validate = &validator{cfg: cfg, imports: state.Imports, home: catalogHome{state.Catalog, broken}}
	if cfg.LakeFS != nil {
		s.lakefs = newServerHome(cfg)
		s.validate.home = s.lakefs
	}
	s.validate.known = &namespaces{list: s.validate.home.repositories, now: cfg.Now}
	s.comparisons = metarange.NewBudget(limits.Comparisons, cfg.Reserved)
	s.peers = peers.New(peers.Config{Leases: cfg.Backend.Leases, ID: s.session, Holder: cfg.Holder, Log: cfg.Log, Registerer: cfg.Registerer})
	s.branches = branchqueue.New(branchqueue.Config{
		Leases: cfg.Backend.Leases, Holder: cfg.Holder, Alone: s.peers.Alone, Patience: branchqueue.DefaultPatience, Now: cfg.Now, Log: cfg.Log,
	})
	s.followers = follow.New(follow.Config{Covers: cfg.Backend.Covers, Expiry: cfg.Backend.Queue.AckWait(), Now: cfg.Now, Log: cfg.Log, Registerer: cfg.Registerer})
	s.watch = &fleetWatch{backend: cfg.Backend, followers: s.followers, metrics: s.metrics, problems: make(problemReports), now: cfg.Now, log: cfg.Log}
	s.cleanup = &cleanup{
		imports: cfg.Imports, discard: cfg.Backend.Discard, release: s.validate.home.release, followers: s.followers, forgotten: s.metrics.forgotten,
		now: cfg.Now, log: cfg.Log, ended: make(map[string]end),
	}
	s.supervisor = &supervisor{
		imports: cfg.Imports, session: s.session, watch: s.watch, alive: s.peers.Alive, followers: s.followers,
		drivers: s.drivers, ages: s.ages, cleanup: s.cleanup, broken: broken, start: s.startDriver, metrics: s.metrics, log: cfg.Log,
	}
	return s
}

// Run drives imports until ctx ends, and returns once nothing runs any more. It is
// called once.
func (s *Service) Run(ctx context.Context) {
	s.running.Store(true)
	registered, deregister := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { s.peers.Run(registered) })
	background.Go(func() { s.watch.run(ctx) })
	background.Go(func() { s.beats.run(ctx, s.cfg.Backend.Gossip, s.cfg.Log) })
	takeFailures(ctx, s.cfg)
	s.supervisor.run(ctx)
	s.close()
	deregister() // after the last driver has stopped
	background.Wait()
}

func (s *Service) close() {
	s.drivers.close()
	s.followers.Close()
}

// Start is a request to import paths into a branch.
type Start struct {
	Request imports.Request
	Paths   []imports.Path
	Login   lakefs.Login // of the caller at the lakeFS server, if there is one
}

// Start checks a request, stores the import, and only then returns its ID. The same
// request again, while its import runs, returns the same ID. The import belongs to the trace
// that ctx is in.
func (s *Service) Start(ctx context.Context, start Start) (id string, err error) {
	repository, err := s.validate.start(ctx, start)
	if err != nil {
		return "", err
	}
	start.Request.Message = cmp.Or(start.Request.Message, "Import objects")
	job := imports.Job{
		ImportID:  newID(s.cfg.LakeFS),
		Namespace: repository.StorageNamespace, Incarnation: repository.Incarnation,
		Paths:   start.Paths,
		Breaks:  s.cfg.Breaks,
		Markers: s.cfg.Markers,
	}
	record := imports.New(job, start.Request, s.cfg.Now().UTC())
	record.Driver, record.Trace = s.session, tracing.Here(ctx)
	s.callers.note(job.ImportID, s.cfg.LakeFS, start.Login)
	id, err = s.state.Imports.Claim(ctx, record)
	if err != nil || id != job.ImportID {
		s.callers.forget(job.ImportID)
	}
	if errors.Is(err, kv.ErrTooLarge) {
		return "", fault.BadField("paths", "together they are %v", kv.ErrTooLarge)
	}
	if err != nil {
		return "", err
	}
	if id != record.Job.ImportID {
		return id, nil
	}
	s.metrics.started.Inc()
	s.cfg.Log.InfoContext(ctx, "import accepted", "import_id", id, "repository", repository.ID, "branch", start.Request.Branch,
		"paths", len(start.Paths), "user", start.Request.Committer)
	if s.running.Load() {
		s.startDriver(record)
	}
	return id, nil
}

// Status is how far an import is.
type Status struct {
	ID         string
	Record     imports.Record
	Objects    int64           // distinct keys covered so far; never falls
	Ranges     int             // ranges covered so far
	Partitions int             // partitions queued or running
	Progress   Progress        // what is not stored of how far it is
	Updated    time.Time       // now while the import runs; else when it ended
	Commit     *catalog.Commit // set exactly if it is completed
}

// errStopped is the error of a request that only a service that runs can answer.
var errStopped = errors.New("the service has stopped")

// look returns the record of an import of the repository and, unless the import has
// ended, its progress. All covers that are stored by now have come in, except in a service
// that needs longer than a caller can wait, as it has just started or lags behind.
func (s *Service) look(ctx context.Context, repository, id string) (imports.Record, *follow.Progress, error) {
	record, err := s.state.Imports.Get(ctx, id)
	if err == nil && record.Request.Repository != repository {
		err = fault.Missing("import " + id)
	}
	if err != nil || record.State.Ended() {
		return record, nil, err
	}
	if p := s.follow(id, record.Trace); p != nil {
		stored, err := s.state.Backend.Covers.Count(ctx, id)
		if err != nil {
			return record, nil, err
		}
		if p.Await(ctx, stored) {
			return record, p, nil
		}
	}
	record, err = s.state.Imports.Get(ctx, id) // it has ended since it was read
	if err == nil && !record.State.Ended() {
		err = errStopped
	}
	return record, nil, err
}

// Status returns how far an import of the repository is. It is NotFound if there is none.
func (s *Service) Status(ctx context.Context, repository, id string) (Status, error) {
	record, p, err := s.look(ctx, repository, id)
	if err != nil {
		return Status{}, err
	}
	status := Status{ID: id, Record: record, Objects: record.Objects, Updated: record.Updated}
	switch {
	case p != nil:
		if status.Partitions, err = s.state.Backend.Queue.OutstandingCount(ctx, id); err != nil {
			return Status{}, err
		}
		status.Objects, status.Ranges = p.Covered()
		status.Updated = latest(record.Updated, p.Sign(), s.watch.tended(id)).UTC()
		status.Progress = progressOf(p, status.Partitions)
	case record.State == imports.Completed && record.Landing != nil:
		commit := commitOnServer(record)
		status.Commit, status.Ranges = &commit, record.Attempt.Ranges
	case record.State == imports.Completed:
		commit, err := s.state.Catalog.Commit(ctx, repository, record.Attempt.CommitID)
		if err != nil {
			return Status{}, err
		}
		status.Commit, status.Ranges = &commit, record.Attempt.Ranges
	}
	status.Progress.Listed = max(status.Progress.Listed, status.Objects)
	if status.Progress.Elapsed = max(0, status.Updated.Sub(record.Created)); p != nil {
		status.Progress.Elapsed = max(0, s.cfg.Now().Sub(record.Created))
	} else if seconds := status.Progress.Elapsed.Seconds(); seconds > 0 {
		status.Progress.PerSecond = float64(status.Objects) / seconds
	}
	return status, nil
}

// Cancel ends a running import. It is a Conflict once the import commits, or is
// completed.
func (s *Service) Cancel(ctx context.Context, repository, id string) error {
	_, p, err := s.look(ctx, repository, id)
	if err != nil {
		return err
	}
	var objects int64
	if p != nil {
		objects, _ = p.Covered()
	}
	record, err := s.state.Imports.Apply(ctx, id, func(r imports.Record) (imports.Record, error) {
		return r.Cancel(s.cfg.Now().UTC(), objects)
	})
	if err != nil {
		return err
	}
	if err := s.state.Backend.Discard(ctx, id); err != nil {
		// It is canceled all the same, since workers look at the record.
		s.cfg.Log.WarnContext(record.Trace.In(ctx), "discard the partitions of a canceled import", "import_id", id, "err", err)
	}
	return s.cleanup.retire(ctx, record)
}

// follow returns the progress of an import, which it follows from now on. It is nil if the
// import has ended or the service has stopped. cleanup records an end before it unfollows
// the import. So an import that ends meanwhile is unfollowed either there or here.
func (s *Service) follow(id string, trace tracing.Place) *follow.Progress {
	p := s.followers.Follow(id, trace)
	if p != nil && s.cleanup.hasEnded(id) {
		s.followers.Unfollow(id)
		return nil
	}
	return p
}

// startDriver drives the import in the background until it has ended or another
// coordinator drives it, unless it is driven already.
func (s *Service) startDriver(record imports.Record) {
	id := record.Job.ImportID
	s.drivers.start(id, func(ctx context.Context) {
		s.metrics.driving.Inc()
		defer s.metrics.driving.Dec()
		defer s.callers.forget(id)
		defer s.beats.end(id)
		s.ages.begin(id)
		defer s.ages.forget(id)
		d := s.newDriver(id, record.Trace)
		if d == nil {
			return
		}
		if err := d.run(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.WarnContext(d.trace.In(ctx), "drive an import", "import_id", id, "err", err)
		}
	})
}

// newDriver returns a driver of the import, which has a trace. It is nil if the import has ended or
// the service has stopped.
func (s *Service) newDriver(id string, trace tracing.Place) *driver {
	progress := s.follow(id, trace)
	if progress == nil {
		return nil
	}
	imp := &importHandle{id: id, beat: s.beats.begin(id), store: s.cfg.Imports, metrics: s.metrics, tracer: s.tracer, ages: s.ages, now: s.cfg.Now, log: s.cfg.Log.With("import_id", id)}
	steps := &stepRunner{imp: imp, limits: s.limits}
	trees := &treeMaker{imp: imp, stores: s.cfg.Stores, covers: s.cfg.Backend.Covers, progress: progress, steps: steps, comparisons: s.comparisons}
	gaps := newGapCloser(imp, s.cfg.Backend.Queue, s.watch, progress.Fold)
	return &driver{
		imp: imp, session: s.session, progress: progress, gaps: gaps,
		planner: &planner{imp: imp, stores: s.cfg.Stores, roles: s.cfg.Roles, steps: steps, publish: gaps.publish},
		lander:  &lander{imp: imp, trees: trees, to: s.destination(imp, trees), branches: s.branches},
		backend: s.cfg.Backend, watch: s.watch, cleanup: s.cleanup, drivers: s.drivers, trace: trace,
	}
}

// destination returns where an import lands.
func (s *Service) destination(imp *importHandle, trees *treeMaker) destination {
	may := permission{s.cfg.MayImport, s.cfg.Refused}
	if s.lakefs != nil {
		return &serverLander{
			imp: imp, permission: may, home: s.lakefs, server: s.cfg.LakeFS, callers: s.callers, trees: trees, landings: s.cfg.Landings,
		}
	}
	return &catalogLander{imp: imp, permission: may, catalog: s.cfg.Catalog, trees: trees}
}
