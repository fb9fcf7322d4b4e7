// Package node assembles, starts and gracefully stops the processes of a fleet, with
// their health checks and memory limits: the coordinator, with or without an embedded
// NATS server and workers, and the worker.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/pace"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/settings"
	"github.com/rangefleet/rangefleet/pkg/tracing/otlp"
	"github.com/rangefleet/rangefleet/pkg/worker"
)

// Env is the environment of a process. All fields but Stderr are required.
type Env struct {
	Settings settings.Settings
	Log      *slog.Logger
	Notices  io.Writer  // for what a person must see: addresses, directories, new keys
	Stderr   io.Writer  // for the audit log; nil: it is written to a file, or not at all
	Started  func(Info) // called once the process is ready
}

// Info says how to reach a process that has started.
type Info struct {
	API             string // URL of the API, without /api/v1; a coordinator's
	NATS            string // URL of the embedded NATS server, if it listens
	AccessKeyID     string // "" if it was revoked
	SecretAccessKey string // "" unless the keys were generated at this start
}

// base is what coordinators and workers have in common.
type base struct {
	Env
	registry *prometheus.Registry
	metrics  prometheus.Registerer // adds the label fleet; its metrics are in registry
	backend  *backend.Backend
	imports  *imports.Store
	stores   *stores.Stores
	buffers  *rangewriter.Buffers
	traces   *otlp.Provider
}

// newBase connects to NATS: to the embedded server, if that is not nil.
func newBase(ctx context.Context, env Env, role natsconn.Role, embedded *natsd.Server) (*base, error) {
	b := &base{Env: env, registry: prometheus.NewRegistry(), buffers: &rangewriter.Buffers{Limit: memoryFiles}}
	s := env.Settings
	b.metrics = prometheus.WrapRegistererWith(prometheus.Labels{labelFleet: s.Fleet}, b.registry)
	registerProcess(b.metrics, b.buffers)
	if err := s3store.CheckTrust(os.Getenv); err != nil {
		return nil, err
	}
	var err error
	if b.traces, err = otlp.New(ctx, otlp.Config{
		Service: "rangefleet-" + string(role), Version: buildinfo.Version(), Instance: holder(), Log: env.Log, Registerer: b.metrics,
	}); err != nil {
		return nil, err
	}
	open := connect.Stores(s)
	open.Ahead = readahead.Limits{Most: s.S3.MaxLists, Buffer: memoryPages}
	if b.stores, err = stores.New(open, b.metrics, env.Log); err != nil {
		return nil, err
	}
	cfg := connect.NATS(s.NATS)
	cfg.Role = role
	cfg.Name, cfg.Log, cfg.Registerer = holder(), env.Log, b.metrics
	if embedded != nil {
		cfg.InProcess, cfg.Login = embedded, natsconn.Login{}
		cfg.Login.User, cfg.Login.Password = embedded.Login()
	}
	opts := backend.Options{Queue: queue.Config{AckWait: s.NATS.AckWait}, LeaseTTL: s.NATS.LeaseTTL}
	if b.backend, err = backend.Connect(ctx, cfg, opts); err != nil {
		return nil, err
	}
	go keepPace(ctx, b)
	go b.showEnds(ctx, b.ends())
	b.imports = imports.NewStore(b.backend.Bucket(kv.BucketImports))
	return b, nil
}

// close sends the last spans, and ends the connection to NATS.
func (b *base) close(ctx context.Context) {
	if err := b.traces.Close(context.WithoutCancel(ctx)); err != nil {
		b.Log.WarnContext(ctx, "end tracing", "err", err)
	}
	b.backend.Close()
}

// watch calls stop with the reason once the connection to NATS has ended for good.
func (b *base) watch(ctx context.Context, stop context.CancelCauseFunc) {
	if err := b.backend.Conn.Wait(ctx); err != nil {
		stop(err)
	}
}

// endedBy joins err with the reason why ctx ended, unless the process was just told to
// stop. If err only says that a wait ended with ctx, it is dropped.
func endedBy(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// keepPace keeps the process to its share of the fleet's LIST calls until ctx ends.
func keepPace(ctx context.Context, b *base) {
	s := b.Settings.S3
	err := pace.Run(ctx, pace.Config{
		Gossip: b.backend.Gossip, Limiter: b.stores.Lists(), Store: s.Endpoint + " " + s.Region,
		Fleet: s.FleetLists, Log: b.Log, Registerer: b.metrics,
	})
	if err != nil { // the connection is closed
		b.Log.DebugContext(ctx, "keep pace with the fleet", "err", err)
	}
}

func newWorker(b *base) *worker.Worker {
	return worker.New(worker.Config{
		Backend: b.backend, Imports: b.imports, Stores: b.stores, Roles: b.stores.Roles(), Busy: b.stores.Lists().Busy,
		Slots: b.Settings.Workers, Buffers: b.buffers, Traces: b.traces, Log: b.Log, Registerer: b.metrics,
	})
}

// holder names this process in leases and connections.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("rangefleet-%s-%d", host, os.Getpid())
}

// parseURIs parses the values of a setting.
func parseURIs(setting string, texts []string) ([]objectstore.URI, error) {
	uris := make([]objectstore.URI, len(texts))
	for i, text := range texts {
		var err error
		if uris[i], err = objectstore.ParseURI(text); err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
	}
	return uris, nil
}
