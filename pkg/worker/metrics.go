package worker

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// outcomes of a delivery; each is counted from the start, so that zero shows.
var outcomes = []string{"done", "over", "lost", "handed_back", "yielded", "stalled", "failed", "retried", "refused"}

type metrics struct {
	running    prometheus.Gauge
	deliveries *prometheus.CounterVec
	objects    prometheus.Counter
	ranges     prometheus.Counter
	handOvers  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		running: f.NewGauge(prometheus.GaugeOpts{
			Name: "rangefleet_worker_partitions_running",
			Help: "Partitions that this process works on now.",
		}),
		deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "rangefleet_worker_deliveries_total",
			Help: "Deliveries of partitions to this process, by how they ended.",
		}, []string{"outcome"}),
		objects: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_worker_objects_covered_total",
			Help: "Entries in the ranges that this process stored and published covers of.",
		}),
		ranges: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_worker_ranges_covered_total",
			Help: "Ranges that this process stored and published covers of.",
		}),
		handOvers: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_worker_hand_overs_total",
			Help: "Partitions that this process cut off its own for others that were idle.",
		}),
	}
	for _, o := range outcomes {
		m.deliveries.WithLabelValues(o)
	}
	return m
}

func (m *metrics) done(outcome string) { m.deliveries.WithLabelValues(outcome).Inc() }
