package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rangefleet/rangefleet/pkg/server"
)

// Worker runs a worker until ctx ends.
func Worker(ctx context.Context, env Env) error {
	b, err := newBase(ctx, env, nil, false)
	if err != nil {
		return err
	}
	defer b.queue.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { b.newWorker().Run(ctx) })
	fmt.Fprintf(env.Notices, "working on %d partitions at a time from %s\n", env.Settings.Workers, env.Settings.NATS.ShownURL())
	if env.Settings.Metrics.Listen == "" {
		env.Started(Info{})
		<-ctx.Done()
		return nil
	}
	listener, err := net.Listen("tcp", env.Settings.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	return serveHTTP(ctx, server.NewHTTPServer(b.health(), env.Log), listener, func() {
		env.Started(Info{API: "http://" + listener.Addr().String()})
	})
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
