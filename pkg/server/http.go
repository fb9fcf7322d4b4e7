package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// HTTPServer serves a handler. Everything that a client can make it wait for has a deadline,
// and the number of connections is bounded.
type HTTPServer struct {
	http  http.Server
	conns connections
}

// NewHTTPServer returns a server of h, which logs its own errors to log. It registers its
// metrics with reg, once.
func NewHTTPServer(h http.Handler, reg prometheus.Registerer, log *slog.Logger) *HTTPServer {
	s := &HTTPServer{conns: connections{most: limits.Connections, evicted: metric.With(reg).Counter("http_connections_evicted_total",
		"Connections that were closed for others, as too many were open.")}}
	s.http = http.Server{
		Handler:           s.conns.markActive(h),
		ConnContext:       s.conns.withConnection,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      requestTimeout + 10*time.Second, // an answer that times out is still written
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10, // a key of 1,024 bytes takes 3,072 in a query
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// Serve serves the connections of l until Shutdown or Close. Its error is never nil.
func (s *HTTPServer) Serve(l net.Listener) error { return s.http.Serve(s.conns.listen(l)) }

// Shutdown stops accepting requests, and waits until those that are running end, or ctx.
func (s *HTTPServer) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close closes all connections at once.
func (s *HTTPServer) Close() error { return s.http.Close() }
