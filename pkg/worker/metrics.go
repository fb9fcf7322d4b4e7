package worker

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// outcomes of a delivery. Each is counted from the start, so that zero shows.
var outcomes = []string{"done", "over", "lost", "handed_back", "yielded", "stalled", "failed", "retried", "refused"}

type metrics struct {
	running    prometheus.Gauge
	deliveries *prometheus.CounterVec
	objects    prometheus.Counter
	ranges     prometheus.Counter
	handOvers  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("worker")
	return &metrics{
		running:    f.Gauge("partitions_running", "Partitions that this process works on now."),
		deliveries: f.CounterVec("deliveries_total", "Deliveries of partitions to this process, by how they ended.", metric.By("outcome", outcomes...)),
		objects:    f.Counter("objects_covered_total", "Entries in the ranges that this process stored and published covers of."),
		ranges:     f.Counter("ranges_covered_total", "Ranges that this process stored and published covers of."),
		handOvers:  f.Counter("hand_overs_total", "Partitions that this process cut off its own for others that were idle."),
	}
}

func (m *metrics) done(outcome string) { m.deliveries.WithLabelValues(outcome).Inc() }
