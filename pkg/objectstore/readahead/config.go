package readahead

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
)

// Config says how pages are asked for. Zero fields have defaults.
type Config struct {
	Limiter *Limiter // of the store, shared by its listers; required

	Attempts int // tries of one page; 0 is 8

	// ConfirmEnds has another LIST confirm each end of a listing. Some stores report an
	// end though keys follow.
	ConfirmEnds bool

	// Throttled reports whether an error says that the store throttles. Nil is never.
	Throttled func(error) bool
}

// How a page is tried.
const (
	firstDelay = 200 * time.Millisecond // upper bound of the first delay, which doubles
	maxDelay   = 10 * time.Second       // upper bound of all delays
	timeout    = 4 * time.Minute        // deadline of one try: a page has been seen to take two minutes
)

func (c Config) withDefaults() Config {
	if c.Attempts <= 0 {
		c.Attempts = 8
	}
	if c.Throttled == nil {
		c.Throttled = func(error) bool { return false }
	}
	return c
}

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

// delay returns how long to wait after so many failures, with full jitter: calls that
// failed together must not be retried together.
func delay(failures int) time.Duration {
	return rand.N(pause.Bound(firstDelay, maxDelay, failures)) + 1
}
