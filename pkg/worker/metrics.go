package worker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// outcomes of a delivery. Each is counted from the start, so that zero shows.
var outcomes = []string{"done", "over", "lost", "handed_back", "yielded", "stalled", "failed", "retried", "refused"}

// Reasons why a partition, and its import with it, is given up.
const (
	givenUpPermanent = "permanent" // trying again would not help
	givenUpTries     = "tries"     // too many deliveries in a row got no further
	givenUpDeaths    = "deaths"    // too many workers ended with it
)

type metrics struct {
	slots      *prometheus.GaugeVec // by lane
	busy       *prometheus.GaugeVec // by lane
	deliveries *prometheus.CounterVec
	duration   prometheus.Histogram
	givenUp    *prometheus.CounterVec
	objects    prometheus.Counter
	ranges     prometheus.Counter
	handOvers  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f, lanes := metric.With(reg).In("worker"), metric.By("lane", string(queue.Bulk), string(queue.Express))
	return &metrics{
		slots:      f.GaugeVec("slots", "Partitions that this process works on at most at a time, by lane.", lanes),
		busy:       f.GaugeVec("slots_busy", "Partitions that this process works on now, by lane.", lanes),
		deliveries: f.CounterVec("deliveries_total", "Deliveries of partitions to this process, by how they ended.", metric.By("outcome", outcomes...)),
		duration:   f.Histogram("delivery_duration_seconds", "Time that this process worked on a partition that was delivered to it.", metric.Buckets(0.2, 6)),
		givenUp: f.CounterVec("partitions_given_up_total", "Partitions whose import this process has failed: as trying again would not help (permanent), as too many deliveries in a row got no further (tries), or ended with their workers (deaths).",
			metric.By("reason", givenUpPermanent, givenUpTries, givenUpDeaths)),
		objects:   f.Counter("objects_covered_total", "Entries in the ranges that this process stored and published covers of."),
		ranges:    f.Counter("ranges_covered_total", "Ranges that this process stored and published covers of."),
		handOvers: f.Counter("hand_overs_total", "Partitions that this process cut off its own for others that were idle."),
	}
}

func (m *metrics) done(outcome string) { m.deliveries.WithLabelValues(outcome).Inc() }

// givesUp counts a partition that is given up for a cause.
func (m *metrics) givesUp(cause error) {
	reason := givenUpTries
	switch {
	case errors.Is(cause, errFatal):
		reason = givenUpDeaths
	case objectstore.Permanent(cause):
		reason = givenUpPermanent
	}
	m.givenUp.WithLabelValues(reason).Inc()
}
