package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// scanEvery is how often a coordinator looks for imports to drive.
const scanEvery = time.Second

// supervisor makes sure that each import has a driver, and takes over imports whose
// driver is gone. It is for one goroutine.
type supervisor struct {
	imports   *imports.Store
	session   string // of this coordinator
	watch     *fleetWatch
	alive     func(ctx context.Context) ([]string, error) // see peers.Registry
	followers *follow.Followers
	drivers   *drivers
	ages      *ages
	cleanup   *cleanup
	broken    *brokenRecords
	start     func(imports.Record) // drives an import in the background
	metrics   *metrics
	log       *slog.Logger
}

// run scans the imports until ctx ends.
func (s *supervisor) run(ctx context.Context) {
	ticks := time.NewTicker(scanEvery)
	defer ticks.Stop()
	for {
		if err := s.scan(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "scan the imports", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// scan starts a driver for every import that is this coordinator's, takes over imports
// whose coordinator is gone, and clears up after those that have ended. An error of one
// import does not keep it from the others.
func (s *supervisor) scan(ctx context.Context) error {
	seen := s.watch.last.Load() // before the IDs: messages in it of no ID below are orphans
	ids, err := s.imports.IDs(ctx)
	if err != nil {
		return err
	}
	var errs []error
	var running []imports.Record
	broken := make(map[string]string)
	driven := s.drivers.all()
	// A peer may delete the record of an import before this coordinator sees the import end.
	unlisted := slices.DeleteFunc(s.followers.IDs(), func(id string) bool { return listed(ids, id) })
	for _, id := range slices.Concat(ids, unlisted) {
		if _, ok := driven[id]; ok || ctx.Err() != nil {
			continue
		}
		record, err := s.cleanup.read(ctx, id)
		if fault.Is(err, fault.Broken) {
			broken[id] = err.Error()
			continue
		}
		if errs = append(errs, err); err == nil && !record.State.Ended() {
			running = append(running, record)
		}
	}
	s.broken.note(kv.BucketImports, broken)
	// After the records: a driver that a record names, and that is not alive now, is gone.
	alive, err := s.alive(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, record := range running {
		if !slices.Contains(alive, record.Driver) {
			record, err = s.takeOver(ctx, record)
			errs = append(errs, err)
		}
		if record.Driver == s.session {
			s.start(record)
		}
	}
	s.cleanup.keep(ids)
	s.show(running, seen)
	return errors.Join(append(errs, s.cleanup.sweep(ctx, seen, ids))...)
}

// takeOver makes this coordinator the driver of an import, unless a peer is faster.
func (s *supervisor) takeOver(ctx context.Context, record imports.Record) (imports.Record, error) {
	from, id := record.Driver, record.Job.ImportID
	record, err := s.imports.Apply(ctx, id, func(r imports.Record) (imports.Record, error) {
		return r.Drive(from, s.session)
	})
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return record, nil
	}
	if err == nil && from != "" {
		s.metrics.takeovers.Inc()
		s.log.InfoContext(record.Trace.In(ctx), "import taken over", "import_id", id, "from", from)
	}
	return record, err
}

// show sets the metrics of the imports, and of how far the covers of those that are driven
// here have come in since the survey. An import that is driven here counts as in the state
// that its driver saw last.
func (s *supervisor) show(running []imports.Record, seen *survey) {
	driven := s.drivers.all()
	counts, completed := s.cleanup.counts()
	if !completed.IsZero() {
		s.metrics.lastSuccess.Set(metric.Time(completed))
	}
	for _, record := range running {
		if _, ok := driven[record.Job.ImportID]; !ok {
			counts[record.State]++
		}
	}
	for _, state := range driven {
		counts[state]++
	}
	for _, state := range states {
		s.metrics.imports.WithLabelValues(string(state)).Set(float64(counts[state]))
	}
	if seen != nil {
		stored := maps.Clone(seen.Covers)
		maps.DeleteFunc(stored, func(id string, _ uint64) bool { _, ok := driven[id]; return !ok })
		s.followers.ShowLag(stored)
		s.metrics.wanted.Set(wantedWorkers(s.work(driven, seen)))
	}
	s.ages.look()
}

// work returns what is left to list of the imports that are driven here, and notes which of them
// get further.
func (s *supervisor) work(driven map[string]imports.State, seen *survey) work {
	outstanding := make(map[string]int)
	for id := range driven {
		if n := len(seen.Partitions[id]); n > 0 {
			outstanding[id] = n
		}
	}
	looks := s.followers.Look(outstanding)
	for id, now := range looks {
		s.ages.listed(id, now.Listed)
	}
	return workOf(outstanding, looks)
}

// drivers are the drivers that run in this process, at most one for each import. Its
// methods may be called concurrently.
type drivers struct {
	ctx  context.Context // of all drivers
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	states map[string]imports.State // by import: the state that its driver saw last
}

func newDrivers() *drivers {
	ctx, stop := context.WithCancel(context.Background())
	return &drivers{ctx: ctx, stop: stop, states: make(map[string]imports.State)}
}

// start runs drive in the background, unless the import is driven already or close was
// called.
func (d *drivers) start(id string, drive func(context.Context)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, driven := d.states[id]; driven || d.ctx.Err() != nil {
		return
	}
	d.states[id] = imports.Running
	d.work.Go(func() {
		drive(d.ctx)
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.states, id)
	})
}

// note records the state of an import, if it is driven.
func (d *drivers) note(id string, state imports.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, driven := d.states[id]; driven {
		d.states[id] = state
	}
}

// all returns the imports that are driven, each with the state that its driver saw last.
func (d *drivers) all() map[string]imports.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.states)
}

// close stops all drivers, and waits until none runs any more.
func (d *drivers) close() {
	d.mu.Lock()
	d.stop() // under the lock, so that none is started after it
	d.mu.Unlock()
	d.work.Wait()
}

// brokenRecords are the records that cannot be decoded, as of the last look at all
// records of a bucket. They are logged and counted, and nothing waits for them. Its
// methods may be called concurrently.
type brokenRecords struct {
	shown *prometheus.GaugeVec // by bucket
	log   *slog.Logger

	mu sync.Mutex
	of map[string]map[string]string // bucket -> ID -> problem
}

// note records all broken records of a bucket, by ID, and logs the new ones.
func (b *brokenRecords) note(bucket string, now map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, problem := range now {
		if b.of[bucket][id] != problem {
			b.log.Error("record cannot be decoded, and is left out", "bucket", bucket, "id", id, "err", problem)
		}
	}
	b.of[bucket] = now
	b.shown.WithLabelValues(bucket).Set(float64(len(now)))
}
