package readahead

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// Config says how pages are asked for.
type Config struct {
	Limiter *Limiter // of the store, shared by its listers

	// ConfirmEnds has another LIST confirm each end of a listing. Some stores report an
	// end though keys follow.
	ConfirmEnds bool
}

// How a page is tried.
const (
	tries      = 8
	firstDelay = 200 * time.Millisecond // upper bound of the first delay, which doubles
	maxDelay   = 10 * time.Second       // upper bound of all delays
	timeout    = 4 * time.Minute        // deadline of one try: a page has been seen to take two minutes
)

// Metrics are those of all listers of a process.
type Metrics struct {
	inFlight prometheus.Gauge
	held     prometheus.Gauge
	retries  prometheus.Counter
	throttle prometheus.Counter
	restarts prometheus.Counter
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := metric.With(reg).In("readahead")
	return &Metrics{
		inFlight: f.Gauge("lists_in_flight", "LIST calls in flight."),
		held:     f.Gauge("held_bytes", "Bytes of pages listed ahead of their consumers."),
		retries:  f.Counter("retries_total", "LIST calls that were retried after a transient error."),
		throttle: f.Counter("throttled_total", "LIST calls that a store throttled."),
		restarts: f.Counter("restarts_total", "Listings that started again because their pages contradicted each other."),
	}
}
