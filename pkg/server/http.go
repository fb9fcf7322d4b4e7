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

// HTTPServer serves a handler, with a deadline for everything that a client can make
// it wait for and a bound of its connections.
type HTTPServer struct {
	http  http.Server
	conns connections
}

// NewHTTPServer returns a server of h. Its own complaints go to log. It registers its
// metrics with reg, once.
func NewHTTPServer(h http.Handler, reg prometheus.Registerer, log *slog.Logger) *HTTPServer {
	s := &HTTPServer{conns: connections{most: limits.Connections, evicted: metric.With(reg).Counter("http_connections_evicted_total",
		"Connections that were closed for others, as too many were open.")}}
	s.http = http.Server{
		Handler:           s.conns.serve(h),
		ConnContext:       s.conns.keep,
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

// Shutdown takes no more requests, and waits for those that run until ctx ends.
func (s *HTTPServer) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close ends everything at once.
func (s *HTTPServer) Close() error { return s.http.Close() }
