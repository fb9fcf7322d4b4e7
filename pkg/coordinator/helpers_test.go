package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/worker"
)

// small are breaks by which a few entries make several ranges.
var small = partition.Breaks{MaxSize: 5000, Raggedness: 20}

// fleet is a repository, the state that coordinators and workers share, and their
// processes.
type fleet struct {
	t       *testing.T
	backend *backend.Backend
	imports *imports.Store
	catalog *catalog.Catalog
	buckets memstore.Buckets
	config  Config       // of the services
	clock   atomic.Int64 // added to the time of the services
}

// newFleet returns a fleet with a repository "repo" whose storage namespace is
// s3://repo/ns, and a bucket "bucket" to import from.
func newFleet(t *testing.T, source *memstore.Store) *fleet {
	t.Helper()
	return fleetOver(t, queuetest.Start(t), source)
}

// numberedFleet returns a fleet to import n objects from, dir/000000 and so on, and their
// entries.
func numberedFleet(t *testing.T, n int) (*fleet, []entry.Entry) {
	t.Helper()
	source, entries := numbered(n)
	return newFleet(t, source), entries
}

// fleetOver returns a fleet that keeps its state in the backend.
func fleetOver(t *testing.T, q *backend.Backend, source *memstore.Store) *fleet {
	t.Helper()
	return fleetOn(t, q, q.Bucket(kv.BucketImports), q.Bucket(kv.BucketCatalog), source)
}

// fleetOn returns a fleet that keeps its state in the buckets.
func fleetOn(t *testing.T, q *backend.Backend, state, history kv.Bucket, source *memstore.Store) *fleet {
	t.Helper()
	f := &fleet{
		t: t, backend: q, imports: imports.NewStore(state), catalog: catalog.New(history),
		buckets: memstore.Buckets{"bucket": source, "repo": {}},
	}
	f.config = Config{
		State: State{q, f.imports, f.catalog}, Stores: f.buckets, Breaks: small, Holder: "test",
		Now: func() time.Time { return time.Now().Add(time.Duration(f.clock.Load())) },
		Log: tracedlog.New(t),
	}
	f.repository("repo", "s3://repo/ns")
	return f
}

func (f *fleet) repository(id, namespace string) {
	f.t.Helper()
	_, err := f.catalog.CreateRepository(f.t.Context(), catalog.Repository{ID: id, StorageNamespace: namespace, DefaultBranch: "main"})
	expect.NoError(f.t, err)
}

// service returns a service that does not run.
func (f *fleet) service() *Service {
	c := f.config
	c.Registerer = prometheus.NewRegistry()
	return New(c)
}

// serve runs a service until stop is called or the test ends.
func (f *fleet) serve() (s *Service, stop func()) {
	s = f.service()
	return s, f.run(s.Run)
}

// work runs a worker until stop is called or the test ends.
func (f *fleet) work(slots int) (stop func()) {
	return f.run(worker.New(worker.Config{
		Backend: f.backend, Imports: f.imports, Stores: f.config.Stores, Slots: slots,
		Log: tracedlog.New(f.t), Registerer: prometheus.NewRegistry(),
	}).Run)
}

func (f *fleet) run(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	stop = func() { cancel(); running.Wait() }
	f.t.Cleanup(stop)
	return stop
}

// request is an import of a prefix of the bucket to a destination.
func request(prefix, destination string) Start {
	return Start{
		Request: imports.Request{Repository: "repo", Branch: "main", Committer: "me", Message: "m", Metadata: map[string]string{"k": "v"}},
		Paths:   []imports.Path{{Type: imports.CommonPrefix, URI: "s3://bucket/" + prefix, Destination: destination}},
	}
}

func (f *fleet) start(s *Service, r Start) string {
	f.t.Helper()
	id, err := s.Start(root.In(f.t.Context()), r)
	expect.NoError(f.t, err)
	return id
}

// startCut starts an import, cuts it at keys, and queues its partitions. Service s drives
// it once it runs.
func (f *fleet) startCut(s *Service, r Start, cuts ...string) (id string) {
	f.t.Helper()
	return f.startCutIn(s, r, objectstore.Parallel, cuts...)
}

// startCutIn is startCut of a source that is listed in the mode.
func (f *fleet) startCutIn(s *Service, r Start, mode objectstore.Mode, cuts ...string) (id string) {
	f.t.Helper()
	id = f.start(s, r)
	parts := rangetest.Plan(id, cuts)
	plan(f, id, mode, parts)
	for _, p := range parts {
		expect.NoError(f.t, f.backend.Queue.Publish(root.In(f.t.Context()), queue.Bulk, p))
	}
	return id
}

// plan records the plan of an import.
func plan(f *fleet, id string, mode objectstore.Mode, parts []partition.Partition) {
	f.t.Helper()
	_, err := f.imports.Apply(f.t.Context(), id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(f.config.Now().UTC(), parts, objectstore.Listing{Mode: mode}, nil, 0)
	})
	expect.NoError(f.t, err)
}

// cover publishes a cover of the span, without a range.
func cover(f *fleet, id string, span partition.Span) {
	f.t.Helper()
	expect.NoError(f.t, f.backend.Covers.Publish(f.t.Context(), id, "p", partition.Cover{Span: span}))
}

// pull takes a partition of lane bulk from the queue, as a worker does.
func pull(f *fleet) *queue.Task {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), expect.Patience)
	defer cancel()
	task, err := f.backend.Queue.Puller(queue.Bulk).Pull(ctx)
	expect.NoError(f.t, err)
	return task
}

// shows waits until the status of an import shows a problem that holds the text.
func shows(f *fleet, s *Service, id, text string) {
	f.t.Helper()
	expect.Eventually(f.t, "the problem is shown", func() bool {
		status, err := s.Status(f.t.Context(), "repo", id)
		expect.NoError(f.t, err)
		return strings.Contains(status.Record.Problem, text)
	})
}

// completes waits until the import is completed, and checks that it holds all objects and
// shows no problem.
func completes(f *fleet, id string, objects int) {
	f.t.Helper()
	if r := f.completed(id); r.Objects != int64(objects) || r.Problem != "" {
		f.t.Errorf("completed with %d objects and the problem %q, want %d objects", r.Objects, r.Problem, objects)
	}
}

// failUntil returns a hook that fails calls of a kind with an error until repair is
// called.
func failUntil(op string, err error) (hook func(context.Context, memstore.Call) error, repair func()) {
	var repaired atomic.Bool
	return func(_ context.Context, c memstore.Call) error {
		if c.Op == op && !repaired.Load() {
			return err
		}
		return nil
	}, func() { repaired.Store(true) }
}

// drive has a service that does not run drive an import until the test ends.
func drive(f *fleet, s *Service, id string) {
	f.t.Helper()
	d := s.newDriver(id, root)
	f.run(func(ctx context.Context) { _ = d.run(ctx) })
}

// record returns the record of an import.
func (f *fleet) record(id string) imports.Record {
	f.t.Helper()
	r, err := f.imports.Get(f.t.Context(), id)
	expect.NoError(f.t, err)
	return r
}

// ended waits until the import has ended.
func (f *fleet) ended(id string) imports.Record {
	f.t.Helper()
	var r imports.Record
	expect.Eventually(f.t, "import "+id+" ends", func() bool {
		r = f.record(id)
		return r.State.Ended()
	})
	return r
}

// completed waits until the import is completed.
func (f *fleet) completed(id string) imports.Record {
	f.t.Helper()
	r := f.ended(id)
	if r.State != imports.Completed {
		f.t.Fatalf("import is %s: %q, want completed", r.State, r.Error)
	}
	return r
}

// do starts an import and waits until it is completed.
func (f *fleet) do(s *Service, r Start) imports.Record {
	f.t.Helper()
	return f.completed(f.start(s, r))
}

// numbered returns a store of n objects, dir/000000 and so on, and their entries.
func numbered(n int) (*memstore.Store, []entry.Entry) {
	var entries []entry.Entry
	for i := range n {
		key := fmt.Sprintf("dir/%06d", i)
		entries = append(entries, entry.Entry{Key: key, Address: "s3://bucket/" + key, Size: int64(i), ModTime: time.Unix(int64(i), 0).UTC()})
	}
	s := memstore.Of(entries)
	s.PageSize = 300
	return s, entries
}

// newGate blocks the pages of a store from a key on, except the first few of them, until
// open is called.
func newGate(s *memstore.Store, from string, few int64) (open func()) {
	opened := make(chan struct{})
	var passed atomic.Int64
	s.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op != "page" || c.Key < from || passed.Add(1) <= few {
			return nil
		}
		select {
		case <-opened:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return func() { close(opened) }
}

// planned waits until the partitions of the import are queued, and returns them.
func (f *fleet) planned(id string) []partition.Partition {
	f.t.Helper()
	var parts []partition.Partition
	expect.Eventually(f.t, "the import is planned", func() bool {
		r := f.record(id)
		parts = queuetest.Outstanding(f.t, f.backend, id)
		return r.Partitions != nil && len(parts) == len(r.Partitions)
	})
	return parts
}

// cleared waits until the streams hold no message of the import.
func (f *fleet) cleared(id string) {
	f.t.Helper()
	expect.Eventually(f.t, "the import's messages are gone", func() bool {
		parts, err := f.backend.Queue.OutstandingCount(f.t.Context(), id)
		expect.NoError(f.t, err)
		covers, err := f.backend.Covers.Count(f.t.Context(), id)
		expect.NoError(f.t, err)
		return parts == 0 && covers == 0
	})
}

// drives reports whether a service drives the import.
func drives(s *Service, id string) bool {
	_, ok := s.drivers.all()[id]
	return ok
}

// handle returns an import of a store, as the parts of its driver see it.
func handle(id string, store *imports.Store) *importHandle {
	return &importHandle{
		id: id, beat: new(beat), store: store, metrics: newMetrics(prometheus.NewRegistry()), ages: newAges(nil, time.Now), now: time.Now, log: slog.New(slog.DiscardHandler),
	}
}

// create stores the record of an import, and returns it.
func create(t *testing.T, store *imports.Store, id, driver string, r Start) imports.Record {
	t.Helper()
	record := imports.New(imports.Job{ImportID: id, Namespace: "s3://repo/ns", Paths: r.Paths}, r.Request, time.Now().UTC())
	record.Driver, record.Trace = driver, root
	expect.NoError(t, store.Create(t.Context(), record))
	return record
}
