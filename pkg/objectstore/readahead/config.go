package readahead

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
)

// Config says how pages are asked for. Zero fields have defaults.
type Config struct {
	Limiter *Limiter // of the store, shared by its listers; required

	Attempts int           // tries of one page; 0 is 8
	Base     time.Duration // upper bound of the first delay, which doubles; 0 is 200 ms
	Max      time.Duration // upper bound of all delays; 0 is 10 s
	Timeout  time.Duration // deadline of one try; 0 is 4 minutes, for a page has been seen to take two

	// ConfirmEnds has another LIST confirm each end of a listing. Some stores report an
	// end though keys follow.
	ConfirmEnds bool

	// Throttled reports whether an error says that the store throttles. Nil is never.
	Throttled func(error) bool
	// Sleep waits for d or until ctx ends, and then returns its error. Nil is
	// the real clock.
	Sleep func(ctx context.Context, d time.Duration) error
}

func (c Config) withDefaults() Config {
	if c.Attempts <= 0 {
		c.Attempts = 8
	}
	if c.Base <= 0 {
		c.Base = 200 * time.Millisecond
	}
	if c.Max <= 0 {
		c.Max = 10 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 4 * time.Minute
	}
	if c.Throttled == nil {
		c.Throttled = func(error) bool { return false }
	}
	if c.Sleep == nil {
		c.Sleep = pause.For
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
func (c Config) delay(failures int) time.Duration {
	return rand.N(pause.Bound(c.Base, c.Max, failures)) + 1
}
