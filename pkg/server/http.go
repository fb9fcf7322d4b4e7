package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// HTTPServer serves a handler. Everything that a client can make it wait for has a deadline,
// and the number of connections is bounded.
type HTTPServer struct {
	http  http.Server
	conns connections
}

// What HTTP/2 permits on a connection. What a client sends before a handler reads it is kept in
// memory, for as many connections as there may be.
const (
	streams      = 100      // requests at a time
	streamWindow = 64 << 10 // bytes of all bodies together that a client may send ahead
)

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
		MaxHeaderBytes:    limits.Header,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streams, MaxReceiveBufferPerConnection: streamWindow, MaxReceiveBufferPerStream: streamWindow,
		},
		ErrorLog: slog.NewLogLogger(&noisy{Handler: log.Handler(), failed: failedHandshakes(reg), rarely: rate.Sometimes{Interval: handshakesEvery}}, slog.LevelWarn),
	}
	return s
}

// Serve serves the connections of l until Shutdown or Close. Its error is never nil.
func (s *HTTPServer) Serve(l net.Listener) error { return s.http.Serve(s.conns.listen(l)) }

// ServeTLS is Serve with TLS. A client that has not agreed on TLS within ReadHeaderTimeout is
// disconnected, and one that speaks HTTP without TLS is told so.
func (s *HTTPServer) ServeTLS(l net.Listener, config *tls.Config) error {
	s.http.TLSConfig = config
	return s.http.ServeTLS(s.conns.listen(l), "", "")
}

// Shutdown stops accepting requests, and waits until those that are running end, or ctx.
func (s *HTTPServer) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close closes all connections at once.
func (s *HTTPServer) Close() error { return s.http.Close() }

// handshakesEvery is how often the log says, at most, that a client failed to agree on TLS: anyone
// who reaches the address can make that happen.
const handshakesEvery = 10 * time.Second

// noisy logs the errors of net/http, and failed handshakes rarely.
type noisy struct {
	slog.Handler
	failed prometheus.Counter
	rarely rate.Sometimes
}

// Handle logs an error.
func (n *noisy) Handle(ctx context.Context, r slog.Record) (err error) {
	if !strings.Contains(r.Message, "TLS handshake error") {
		return n.Handler.Handle(ctx, r)
	}
	n.failed.Inc()
	n.rarely.Do(func() { err = n.Handler.Handle(ctx, r) })
	return err
}

func failedHandshakes(reg prometheus.Registerer) prometheus.Counter {
	return metric.With(reg).Counter("http_tls_handshakes_failed_total",
		"Connections on which client and server did not agree on TLS, or the client spoke HTTP without TLS.")
}
