package worker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/worker"
)

// small has ranges of some hundred entries end both at anchors and by their size.
var small = partition.Breaks{MaxSize: 5000, Raggedness: 25}

// fleet is some workers and what they share.
type fleet struct {
	t       *testing.T
	backend *backend.Backend
	imports *imports.Store
	buckets memstore.Buckets
	metrics *prometheus.Registry // of the worker that run started last
	worker  *worker.Worker       // that was started last
	grace   time.Duration        // of workers to come
	busy    func() bool          // of workers to come
	buffers *rangewriter.Buffers // of workers to come
	slice   time.Duration        // of workers to come; the default is too long for most tests
	stall   time.Duration        // of workers to come
	listing objectstore.Listing  // of imports to come
	roles   []string             // with which their paths are read
}

func newFleet(t *testing.T, q *backend.Backend, source *memstore.Store) *fleet {
	store := imports.NewStore(q.Bucket(kv.BucketImports))
	expect.NoError(t, q.Gossip.TakeFailures(t.Context(), func(f gossip.Failure) error { // as a coordinator does
		return store.Fail(t.Context(), f.ImportID, f.Text, time.Now())
	}))
	return &fleet{
		t: t, backend: q, imports: store,
		buckets: memstore.Buckets{"bucket": source, "repo": {}}, grace: 100 * time.Millisecond,
	}
}

// record stores the record of an import of "bucket".
func (f *fleet) record(id string, breaks partition.Breaks) {
	f.t.Helper()
	f.recordOf(id, "bucket", breaks)
}

// recordOf is record for another bucket.
func (f *fleet) recordOf(id, bucket string, breaks partition.Breaks) {
	f.t.Helper()
	f.recordUnplanned(id, bucket, breaks)
	f.plan(id)
}

// recordUnplanned is recordOf for an import that was not planned yet: nobody has chosen
// how its bucket is listed.
func (f *fleet) recordUnplanned(id, bucket string, breaks partition.Breaks) {
	f.t.Helper()
	expect.NoError(f.t, f.imports.Create(f.t.Context(), imports.New(imports.Job{
		ImportID: id, Namespace: "s3://repo/ns", Breaks: breaks,
		Paths: []imports.Path{{Type: imports.CommonPrefix, URI: "s3://" + bucket + "/"}},
	}, imports.Request{}, time.Now())))
}

func (f *fleet) plan(id string) {
	f.t.Helper()
	_, err := f.imports.Apply(f.t.Context(), id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(time.Now(), []partition.Partition{partition.Whole(id)}, f.listing, f.roles, 0)
	})
	expect.NoError(f.t, err)
}

func (f *fleet) publish(parts ...partition.Partition) {
	f.t.Helper()
	for _, p := range parts {
		expect.NoError(f.t, f.backend.Queue.Publish(tracedlog.Place().In(f.t.Context()), queue.Bulk, p))
	}
}

func (f *fleet) cancel(id string) {
	f.t.Helper()
	_, err := f.imports.Apply(f.t.Context(), id, func(r imports.Record) (imports.Record, error) { return r.Cancel(time.Now(), 0) })
	expect.NoError(f.t, err)
}

// run runs a worker until stop is called or the test ends.
func (f *fleet) run(slots int) (stop func()) {
	f.metrics = prometheus.NewRegistry()
	return f.runOn(f.backend, slots, f.metrics)
}

func (f *fleet) runOn(q *backend.Backend, slots int, metrics *prometheus.Registry) (stop func()) {
	w := worker.New(worker.Config{
		Backend: q, Imports: imports.NewStore(q.Bucket(kv.BucketImports)), Stores: f.buckets, Slots: slots,
		Grace: f.grace, Slice: f.slice, Stall: f.stall, Busy: f.busy, Buffers: f.buffers,
		Log: tracedlog.New(f.t), Registerer: metrics,
	})
	f.worker = w
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	f.t.Cleanup(stop)
	return stop
}

// cover publishes covers of a partition's first ranges, and returns where the last one
// ends.
func (f *fleet) cover(p partition.Partition, ranges []partition.RangeMetadata) (after string) {
	f.t.Helper()
	for _, r := range ranges {
		c := partition.Cover{Span: partition.Span{After: after, Upto: r.MaxKey}, Range: &r}
		expect.NoError(f.t, f.backend.Covers.Publish(f.t.Context(), p.ImportID, p.ID, c))
		after = r.MaxKey
	}
	return after
}

// covers follows the covers of an import until they chain.
func (f *fleet) covers(id string) (partition.Fold, []partition.Cover) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), expect.Patience)
	defer cancel()
	var chain partition.Chain
	var fold partition.Fold
	var covers []partition.Cover
	err := f.backend.Covers.Follow(ctx, id, func(c partition.Cover) {
		chain.Add(c)
		covers = append(covers, c)
		if fold = chain.Fold(); fold.Complete() {
			cancel()
		}
	})
	if !fold.Complete() {
		f.t.Fatalf("covers of %s leave the gaps %v: %v", id, fold.Gaps, err)
	}
	return fold, covers
}

// covered waits until the covers of an import chain, checks that their ranges are
// those wanted, and returns the covers.
func (f *fleet) covered(id string, want []partition.RangeMetadata) []partition.Cover {
	f.t.Helper()
	fold, covers := f.covers(id)
	if got := slices.Collect(fold.All()); !slices.Equal(got, want) {
		f.t.Errorf("%s: ranges %v, want %v", id, got, want)
	}
	return covers
}

// idle waits until no partition of the import is queued or running.
func (f *fleet) idle(id string) {
	f.t.Helper()
	expect.Eventually(f.t, "the queue is empty", func() bool {
		left, err := f.backend.Queue.OutstandingCount(f.t.Context(), id)
		expect.NoError(f.t, err)
		return left == 0
	})
}

// outcome returns how many deliveries had the outcome.
func (f *fleet) outcome(name string) float64 {
	f.t.Helper()
	return measured.Sum(f.t, f.metrics, "rangefleet_worker_deliveries_total", name)
}

// sample returns entries, and the ranges that they must become.
func sample(t *testing.T, rng *rand.Rand, n int, breaks partition.Breaks) ([]entry.Entry, []partition.RangeMetadata) {
	t.Helper()
	entries := entrytest.Random(rng, n)
	ranges, err := rangetest.Ranges(entries, breaks)
	expect.NoError(t, err)
	return entries, ranges
}

// numbered returns a store of n objects with numbered keys, and the ranges that they
// must become.
func numbered(t *testing.T, n int, breaks partition.Breaks) (*memstore.Store, []partition.RangeMetadata) {
	t.Helper()
	var entries []entry.Entry
	for i := range n {
		key := fmt.Sprintf("dir/%06d", i)
		entries = append(entries, entry.Entry{Key: key, Address: "s3://bucket/" + key, Size: int64(i), ModTime: time.Unix(int64(i), 0).UTC()})
	}
	ranges, err := rangetest.Ranges(entries, breaks)
	expect.NoError(t, err)
	return memstore.Of(entries), ranges
}

func start(t *testing.T, source *memstore.Store) *fleet {
	t.Helper()
	return newFleet(t, queuetest.Start(t), source)
}

// heard returns a channel that is closed once all workers have heard of a load that
// is such.
func (f *fleet) heard(such func(queue.LaneLoad) bool) <-chan struct{} {
	f.t.Helper()
	heard := make(chan struct{})
	watch, err := f.backend.Queue.WatchLoad(f.t.Context(), f.backend.Gossip, func() bool { return false })
	expect.NoError(f.t, err)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for f.t.Context().Err() == nil {
			if load, seq := watch.Last(); seq > 0 && such(load) {
				close(heard)
				return
			}
			<-tick.C
		}
	}()
	return heard
}

func startServer(t *testing.T) *natsd.Server { return queuetest.StartServer(t, natsd.Config{}) }

func connect(t *testing.T, cfg natsconn.Config, opts ...backend.Options) *backend.Backend {
	return queuetest.Connect(t, cfg, opts...)
}
