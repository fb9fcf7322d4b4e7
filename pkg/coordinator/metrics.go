package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

type metrics struct {
	started    prometheus.Counter
	finished   *prometheus.CounterVec
	driving    prometheus.Gauge
	duration   prometheus.Histogram
	objects    prometheus.Counter
	planned    prometheus.Counter
	gapsClosed prometheus.Counter
	attempts   *prometheus.CounterVec
	retries    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		started: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_imports_started_total",
			Help: "Imports that were accepted.",
		}),
		finished: f.NewCounterVec(prometheus.CounterOpts{
			Name: "rangefleet_imports_finished_total",
			Help: "Imports that ended while this process drove them, by how.",
		}, []string{"outcome"}),
		driving: f.NewGauge(prometheus.GaugeOpts{
			Name: "rangefleet_imports_driving",
			Help: "Imports that this process drives now.",
		}),
		duration: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "rangefleet_import_duration_seconds",
			Help:    "Time from the request to the commit of imports that completed.",
			Buckets: prometheus.ExponentialBuckets(0.25, 4, 10),
		}),
		objects: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_import_objects_total",
			Help: "Objects of imports that completed.",
		}),
		planned: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_partitions_planned_total",
			Help: "Partitions of first cuts.",
		}),
		gapsClosed: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_gaps_published_total",
			Help: "Gaps between covers that were published again as partitions.",
		}),
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "rangefleet_commit_attempts_total",
			Help: "Attempts to move a branch to an import's commit, by whether its head had moved meanwhile.",
		}, []string{"result"}),
		retries: f.NewCounter(prometheus.CounterOpts{
			Name: "rangefleet_import_step_retries_total",
			Help: "Steps of imports that met an error and were tried again.",
		}),
	}
	for _, state := range []imports.State{imports.Completed, imports.Failed, imports.Canceled} {
		m.finished.WithLabelValues(string(state))
	}
	for _, result := range []string{"landed", "moved"} {
		m.attempts.WithLabelValues(result)
	}
	return m
}

// ended counts an import that ended at time now.
func (m *metrics) ended(r imports.Record, now time.Time) {
	m.finished.WithLabelValues(string(r.State)).Inc()
	if r.State == imports.Completed {
		m.duration.Observe(now.Sub(r.Created).Seconds())
		m.objects.Add(float64(r.Objects))
	}
}
