// Package coordinator is the import service: it takes requests to import, cuts
// the key space into partitions, folds the workers' covers, and lands the
// result on a branch.
//
//	Start ─▶ record ─▶ plan ─▶ partitions ═▶ workers ═▶ covers ─▶ fold ─▶ commit
//	                    ▲                                          │
//	                    └────────────── gaps ──────────────────────┘
//
// Any number of coordinators may run. Each import is driven by the one that
// holds its lease; the lease saves work and protects nothing: every step is a
// compare-and-swap or can be done twice. Any of them answers any request.
package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// Config is what a service works with. All fields are required but Allowed.
type Config struct {
	Queue      *queue.Queue
	Imports    *imports.Store
	Catalog    *catalog.Catalog
	Stores     source.Opener
	Breaks     partition.Breaks  // of the imports that this service starts
	Allowed    []objectstore.URI // what may be imported lies within one of them; empty: any
	Partitions int               // of the first cut of a source of more than one page, at least 1
	Holder     string            // names this process in leases
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// How the service keeps time.
const (
	scanEvery  = 2 * time.Second        // looks for imports that nobody drives
	foldEvery  = 100 * time.Millisecond // folds new covers at most so often
	checkEvery = time.Second            // looks for gaps, and at the import's state
	retryAfter = time.Second            // first pause after an error; it doubles
	maxRetry   = 30 * time.Second       // longest pause after errors
	catchUp    = 2 * time.Second        // longest wait of a status for covers that are stored
	keepEnded  = 24 * time.Hour         // then the record of an import is forgotten
)

// Service is the import service. Its methods may be called concurrently.
type Service struct {
	cfg     Config
	metrics *metrics
	wake    chan struct{}  // a new import was stored
	work    sync.WaitGroup // followers and drivers

	// ctx is that of followers and drivers: it lasts as long as Run.
	ctx  context.Context
	stop context.CancelFunc

	mu       sync.Mutex
	progress map[string]*progress // of imports that run
	driving  map[string]bool
	ended    map[string]time.Time // when imports ended, to forget them
}

// New returns a service. It does nothing by itself before Run.
func New(cfg Config) *Service {
	ctx, stop := context.WithCancel(context.Background())
	return &Service{
		cfg: cfg, metrics: newMetrics(cfg.Registerer), wake: make(chan struct{}, 1),
		ctx: ctx, stop: stop,
		progress: make(map[string]*progress), driving: make(map[string]bool), ended: make(map[string]time.Time),
	}
}

// Run drives imports until ctx ends, and returns once nothing runs any more. It
// is called once.
func (s *Service) Run(ctx context.Context) {
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
		case <-s.wake:
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

// scan starts a driver for every import that runs and has none in this process,
// and forgets those that ended long ago. What is wrong with one import does not
// keep it from the others.
func (s *Service) scan(ctx context.Context) error {
	ids, err := s.cfg.Imports.IDs(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if !s.known(id) && ctx.Err() == nil {
			errs = append(errs, s.attend(ctx, id))
		}
	}
	s.forget(ids)
	return errors.Join(errs...)
}

// attend starts a driver for an import that runs, and retires one that has
// ended.
func (s *Service) attend(ctx context.Context, id string) error {
	record, err := s.cfg.Imports.Get(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case record.State.Ended():
		return s.retire(ctx, record)
	}
	s.startDriver(id)
	return nil
}

// forget drops what is remembered of imports that another coordinator deleted.
// One that ended since the IDs were read is noticed again.
func (s *Service) forget(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := make(map[string]time.Time, len(s.ended))
	for _, id := range ids {
		if at, ok := s.ended[id]; ok {
			ended[id] = at
		}
	}
	s.ended = ended
}

// known reports whether there is nothing to do about an import: it is driven
// here, or ended not long ago.
func (s *Service) known(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ended := s.ended[id]
	return s.driving[id] || ended && s.cfg.Now().Sub(at) < keepEnded
}

// retire notes that an import has ended, and forgets it if that was long ago.
func (s *Service) retire(ctx context.Context, r imports.Record) error {
	id := r.Job.ImportID
	s.mu.Lock()
	s.ended[id] = r.Updated
	if p := s.progress[id]; p != nil {
		p.stop()
		delete(s.progress, id)
	}
	s.mu.Unlock()
	if s.cfg.Now().Sub(r.Updated) < keepEnded {
		return nil
	}
	if err := s.cfg.Queue.Discard(ctx, id); err != nil {
		return err
	}
	if err := s.cfg.Imports.Delete(ctx, r); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.ended, id)
	s.mu.Unlock()
	return nil
}

// startDriver drives the import in the background, if nobody does.
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
		if err := s.hold(s.ctx, id); err != nil && s.ctx.Err() == nil {
			s.cfg.Log.Warn("drive an import", "import_id", id, "err", err)
		}
	})
}

// hold drives the import for as long as its lease is held. It returns at once
// if another coordinator has it.
func (s *Service) hold(ctx context.Context, id string) error {
	lease, err := s.cfg.Queue.Acquire(ctx, "import."+id, s.cfg.Holder)
	if errors.Is(err, queue.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkEvery)
		defer cancel()
		if err := lease.Release(ctx); err != nil {
			s.cfg.Log.Debug("release the lease of an import", "import_id", id, "err", err)
		}
	}()
	s.work.Go(func() {
		select {
		case <-ctx.Done():
		case <-lease.Lost():
			cancel()
		}
	})
	return s.drive(ctx, id)
}
