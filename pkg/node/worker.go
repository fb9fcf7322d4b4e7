package node

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/rangefleet/rangefleet/internal/scrape"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/server"
	"github.com/rangefleet/rangefleet/pkg/worker"
)

// Worker runs a worker until ctx ends and it has handed back its partitions. It serves
// its health until then, and is alive while it stops. It returns an error if the
// connection to NATS is not restored.
func Worker(ctx context.Context, env Env) error {
	limitMemory(memoryWorker)
	b, err := newBase(ctx, env, natsconn.Worker, nil)
	if err != nil {
		return endedBy(ctx, err)
	}
	defer b.close(ctx)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go b.watch(ctx, stop)
	w := newWorker(b)
	announce := func() {
		fmt.Fprintf(b.Notices, "working on %d partitions at a time from %s\n", b.Settings.Workers, b.Settings.NATS.ShownURL())
	}
	if env.Settings.Metrics.Listen == "" {
		announce()
		env.Started(Info{})
		w.Run(ctx)
		return endedBy(ctx, nil)
	}
	listener, err := net.Listen("tcp", env.Settings.Metrics.Listen)
	if err != nil {
		return fmt.Errorf("metrics.listen: %w", err)
	}
	announce()
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	served := make(chan error, 1)
	go func() {
		defer stop(nil) // without its health the worker cannot be supervised
		served <- serveHTTP(serving, server.NewHTTPServer(b.health(w), b.metrics, env.Log), door{Listener: listener}, func() {
			env.Started(Info{API: "http://" + listener.Addr().String()})
		})
	}()
	w.Run(ctx)
	end()
	return endedBy(ctx, <-served)
}

// health serves the metrics and the health of a worker. It is alive without NATS: a
// restart would not help.
func (b *base) health(w *worker.Worker) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrape.New(b.registry, b.Log, nil))
	mux.HandleFunc("GET /healthz", healthCheck(w.Live))
	mux.HandleFunc("GET /readyz", healthCheck(w.Ready))
	return mux
}

// healthCheck answers 200, or 503 with the error of the check.
func healthCheck(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}
}
