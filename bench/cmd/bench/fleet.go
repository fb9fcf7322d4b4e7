package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	processes "github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/stage"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// fleet is a fleet without its worker, in this process: NATS, and the parts of a coordinator
// that queue one partition and read its covers. So the worker's process does all the work of
// a worker, and nothing else.
type fleet struct {
	nats    *natsd.Server
	backend *backend.Backend
	imports *imports.Store
	files   *namespace.Files
}

func newFleet(ctx context.Context, dir, endpoint string) (*fleet, error) {
	log := slog.New(slog.DiscardHandler)
	nats, err := natsd.Start(natsd.Config{StoreDir: dir, Listen: "127.0.0.1:0", Log: log})
	if err != nil {
		return nil, err
	}
	f := &fleet{nats: nats}
	cfg := natsconn.Config{InProcess: nats, Log: log}
	cfg.Login.User, cfg.Login.Password = nats.Login()
	if f.backend, err = backend.Connect(ctx, cfg, backend.Options{}); err != nil {
		f.close()
		return nil, err
	}
	f.imports = imports.NewStore(f.backend.Bucket(kv.BucketImports))
	if err = f.backend.Gossip.TakeFailures(ctx, func(e gossip.Failure) error { return f.imports.Fail(ctx, e.ImportID, e.Text, time.Now()) }); err != nil {
		f.close()
		return nil, err
	}
	f.files, err = stage.Files(ctx, endpoint)
	if err = errors.Join(err, f.backend.Ensure(ctx)); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) close() {
	if f.backend != nil {
		f.backend.Close()
	}
	_ = f.nats.Shutdown() // its directory is removed next
}

// queueImport queues the import of a bucket as one partition.
func (f *fleet) queueImport(ctx context.Context, id, bucket string, mode objectstore.Mode) error {
	job := imports.Job{
		ImportID: id, Namespace: stage.Namespace, Breaks: partition.DefaultBreaks,
		Paths:   []imports.Path{{Type: imports.CommonPrefix, URI: "s3://" + bucket + "/"}},
		Listing: objectstore.Listing{Mode: cmp.Or(mode, objectstore.Parallel)},
	}
	now, parts := time.Now().UTC(), []partition.Partition{partition.Whole(id)}
	if err := f.imports.Create(ctx, imports.Record{Job: job, State: imports.Running, Created: now, Updated: now, Partitions: parts}); err != nil {
		return err
	}
	for _, p := range parts {
		if err := f.backend.Queue.Publish(ctx, queue.Bulk, p); err != nil {
			return err
		}
	}
	return nil
}

// awaitCovers waits until every key is covered, and returns the ranges.
func (f *fleet) awaitCovers(ctx context.Context, id string) ([]partition.RangeMetadata, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go f.cancelOnEnd(ctx, id, cancel)
	var chain partition.Chain
	var fold partition.Fold
	done := errors.New("complete")
	err := f.backend.Covers.Follow(ctx, id, func(c partition.Cover) {
		chain.Add(c)
		if fold = chain.Fold(); fold.Complete() {
			cancel(done)
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if !errors.Is(err, done) {
		return nil, fmt.Errorf("follow the covers: %w", err)
	}
	return slices.Collect(fold.All()), nil
}

// cancelOnEnd cancels the wait for an import that has failed.
func (f *fleet) cancelOnEnd(ctx context.Context, id string, cancel context.CancelCauseFunc) {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if r, err := f.imports.Get(ctx, id); err == nil && r.State.Ended() {
			cancel(fmt.Errorf("the import is %s: %s", r.State, r.Error))
		}
	}
}

// worker measures a worker process that lists a bucket as one partition. The measurement
// begins when the partition is queued, and ends when the last cover has arrived.
func (b *bench) worker(ctx context.Context, row *Row) error {
	address, err := process.FreeAddress()
	if err != nil {
		return err
	}
	p, err := processes.Launch(ctx, b.dir, "worker", append(os.Environ(),
		"RANGEFLEET_NATS_URL="+b.fleet.nats.ClientURL(), "RANGEFLEET_METRICS_LISTEN="+address, "RANGEFLEET_WORKERS=1",
		"RANGEFLEET_S3_ENDPOINT="+b.endpoint, "RANGEFLEET_S3_FORCE_PATH_STYLE=true",
		"RANGEFLEET_S3_ACCESS_KEY_ID=bench", "RANGEFLEET_S3_SECRET_ACCESS_KEY=bench", "RANGEFLEET_LOG_LEVEL=warn"), nil)
	if err != nil {
		return err
	}
	defer p.Kill()
	p.URL = "http://" + address
	if err := p.Ready(ctx, "/readyz"); err != nil {
		return err
	}
	if err := b.work(ctx, row, p); err != nil {
		return fmt.Errorf("%w; output of the worker:\n%s", err, p.Tail())
	}
	return nil
}

// work queues the import of the bucket and waits for its covers.
func (b *bench) work(ctx context.Context, row *Row, p *processes.Process) error {
	before, err := used(ctx, p)
	if err != nil {
		return err
	}
	stop, err := b.perf.Attach(ctx, p.Pid())
	if err != nil {
		return err
	}
	id := fmt.Sprintf("bench%d", time.Now().UnixNano())
	begun := time.Now()
	err = b.fleet.queueImport(ctx, id, row.Bucket, row.mode)
	var ranges []partition.RangeMetadata
	if err == nil {
		ranges, err = b.fleet.awaitCovers(ctx, id)
	}
	wall := time.Since(begun)
	row.Counts = stop()
	if err != nil {
		return err
	}
	after, err := used(ctx, p)
	if err != nil {
		return err
	}
	row.Usage = measure.Usage{Wall: wall, CPU: after.CPU - before.CPU, Allocs: after.Allocs - before.Allocs, Peak: after.Peak}
	row.Ranges = len(ranges)
	var objects int64
	for _, r := range ranges {
		objects += r.Count
	}
	if objects != row.Objects {
		return fmt.Errorf("the ranges hold %d objects, want %d", objects, row.Objects)
	}
	row.MetarangeID, err = metarange.Write(ctx, b.fleet.files, ranges)
	return err
}

// used returns the usage of a worker since it started.
func used(ctx context.Context, p *processes.Process) (measure.Usage, error) {
	u, err := p.Usage() // first, as reading metrics may wait
	if err != nil {
		return measure.Usage{}, err
	}
	allocs, err := p.Metric(ctx, "go_gc_heap_allocs_objects_total", "go_gc_heap_tiny_allocs_objects_total")
	if err == nil && allocs == 0 {
		err = errors.New("the worker's metrics have no count of allocations")
	}
	u.Allocs = uint64(allocs)
	return u, err
}
