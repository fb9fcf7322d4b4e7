package lakefs

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// metrics are those of the calls to a server.
type metrics struct {
	calls    *prometheus.CounterVec   // by operation and code
	duration *prometheus.HistogramVec // by kind
	answered prometheus.Gauge
}

// Kinds of calls.
const (
	kindRead  = "read"
	kindWrite = "write"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("lakefs")
	m := &metrics{
		calls: f.CounterVec("requests_total", "Calls to the lakeFS server, by what they do and the class of the status that it answered (error: 5xx, or none).",
			metric.By("operation"), metric.By("code")),
		duration: f.HistogramVec("request_duration_seconds", "Time of one call to the lakeFS server, by whether it reads or writes. A merge is a write.",
			metric.Buckets(0.02, 6), metric.By("kind", kindRead, kindWrite)),
		answered: f.Gauge("reachable", "1 if the lakeFS server answered the last call, and not that something in front of it cannot reach it; else 0. It is asked every 10 to 20 seconds, also while nobody else asks."),
	}
	m.answered.Set(1) // until a call finds otherwise
	return m
}

// observe measures a call that took so long, in a trace if there is one. The status is 0 if there was
// no answer.
func (m *metrics) observe(c call, status int, took time.Duration, traceID string) {
	m.calls.WithLabelValues(strings.ReplaceAll(c.operation, " ", "_"), codeClass(status)).Inc()
	kind := kindWrite
	if c.method == http.MethodGet {
		kind = kindRead
	}
	metric.Observe(m.duration.WithLabelValues(kind), took.Seconds(), traceID)
	m.reached(status)
}

// reached notes whether a request reached the server, by the status of the answer; 0 if there was none.
func (m *metrics) reached(status int) {
	switch status {
	case 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		m.answered.Set(0)
	default:
		m.answered.Set(1)
	}
}

// codeClass returns how a call ended by its HTTP status, as a label with three values: there are many
// operations.
func codeClass(status int) string {
	switch {
	case status == 0, status >= 500:
		return "error"
	case status >= 200 && status < 300:
		return "2xx"
	}
	return "4xx"
}
