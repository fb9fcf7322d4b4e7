package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rangefleet/rangefleet/pkg/server"
)

// What the memory of a process is held to, unless GOMEMLIMIT says otherwise. A
// worker needs it for pages that are read ahead and, a slot, for the range files
// of a partition; a coordinator for the covers and the metarange of an import: of
// 10^6 ranges, which 10^11 objects make, 160 MiB. The collector works harder
// rather than let garbage come on top of it.
const (
	memoryWorker      = 128 << 20
	memorySlot        = 64 << 20
	memoryCoordinator = 224 << 20
)

// limitMemory makes the collector keep to what a kind of process and so many
// slots need.
func limitMemory(base, slots int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(base + slots*memorySlot))
	}
}

// Worker runs a worker until ctx ends.
func Worker(ctx context.Context, env Env) error {
	limitMemory(memoryWorker, env.Settings.Workers)
	b, err := newBase(ctx, env, nil, false)
	if err != nil {
		return err
	}
	defer b.queue.Close()
	if env.Settings.Metrics.Listen == "" {
		return b.workOn(ctx, func(ctx context.Context) error {
			env.Started(Info{})
			<-ctx.Done()
			return nil
		})
	}
	listener, err := net.Listen("tcp", env.Settings.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	return b.workOn(ctx, func(ctx context.Context) error {
		return serveHTTP(ctx, server.NewHTTPServer(b.health(), env.Log), listener, func() {
			env.Started(Info{API: "http://" + listener.Addr().String()})
		})
	})
}

// workOn works on partitions until meanwhile returns, which it does when ctx
// ends.
func (b *base) workOn(ctx context.Context, meanwhile func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { b.newWorker().Run(ctx) })
	fmt.Fprintf(b.Notices, "working on %d partitions at a time from %s\n", b.Settings.Workers, b.Settings.NATS.ShownURL())
	return meanwhile(ctx)
}

// health serves what a worker has to tell its surroundings. It is alive as long
// as it answers: that NATS is away is no reason to kill it.
func (b *base) health() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := b.ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}
