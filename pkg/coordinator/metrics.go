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
	takeovers  prometheus.Counter
	forgotten  prometheus.Counter

	steps    *prometheus.GaugeVec     // by step and phase
	stepTime *prometheus.HistogramVec // by step
	folded   prometheus.Counter
	foldTime prometheus.Histogram

	fleet fleetMetrics
}

// fleetMetrics are about the whole fleet: every coordinator tells the same, but
// for the moment at which it looked.
type fleetMetrics struct {
	imports      *prometheus.GaugeVec // by state
	coordinators prometheus.Gauge
	partitions   *prometheus.GaugeVec // by state
	redelivered  prometheus.Gauge
	waiting      prometheus.Gauge
	covers       prometheus.Gauge
	lag          prometheus.Gauge
	foldBytes    prometheus.Gauge
}

// Steps of an import of which only so many run at a time, and their phases.
const (
	stepPlan     = "plan"
	stepCommit   = "commit"
	phaseWaiting = "waiting"
	phaseRunning = "running"
)

var states = []imports.State{imports.Running, imports.Committing, imports.Completed, imports.Failed, imports.Canceled}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "rangefleet_" + name, Help: help})
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "rangefleet_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "rangefleet_" + name, Help: help})
	}
	m := &metrics{
		started:    counter("imports_started_total", "Imports that were accepted."),
		finished:   counters("imports_finished_total", "Imports that ended while this process drove them, by how.", "outcome"),
		driving:    gauge("imports_driving", "Imports that this process drives now."),
		objects:    counter("import_objects_total", "Objects of imports that completed."),
		planned:    counter("partitions_planned_total", "Partitions of first cuts."),
		gapsClosed: counter("gaps_published_total", "Gaps between covers that were published again as partitions."),
		attempts:   counters("commit_attempts_total", "Attempts to move a branch to an import's commit, by whether its head had moved meanwhile.", "result"),
		retries:    counter("import_step_retries_total", "Steps of imports that met an error and were tried again."),
		takeovers:  counter("import_takeovers_total", "Imports that this process took over from a coordinator that is gone."),
		forgotten:  counter("imports_forgotten_total", "Imports whose state this process removed a day after they ended."),
		folded:     counter("covers_folded_total", "Covers that this process took in."),
		duration: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "rangefleet_import_duration_seconds",
			Help:    "Time from the request to the commit of imports that completed.",
			Buckets: prometheus.ExponentialBuckets(0.25, 4, 10),
		}),
		steps: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rangefleet_import_steps",
			Help: "Imports that are planned or committed by this process now, or wait for their turn.",
		}, []string{"step", "phase"}),
		stepTime: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rangefleet_import_step_duration_seconds",
			Help:    "Time that planning an import, or bringing it onto its branch, took, without waiting for its turn.",
			Buckets: prometheus.ExponentialBuckets(0.01, 3, 10),
		}, []string{"step"}),
		foldTime: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "rangefleet_fold_duration_seconds",
			Help:    "Time to fold the covers of one import.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 10, 6),
		}),
		fleet: fleetMetrics{
			imports: f.NewGaugeVec(prometheus.GaugeOpts{
				Name: "rangefleet_fleet_imports", Help: "Imports that are kept, by state.",
			}, []string{"state"}),
			coordinators: gauge("fleet_coordinators", "Coordinators that are alive."),
			partitions: f.NewGaugeVec(prometheus.GaugeOpts{
				Name: "rangefleet_fleet_partitions", Help: "Partitions in the work queue: queued ones, and running ones, which a worker has.",
			}, []string{"state"}),
			redelivered: gauge("fleet_partitions_redelivered", "Running partitions that were delivered before."),
			waiting:     gauge("fleet_workers_waiting", "Workers that wait for a partition."),
			covers:      gauge("fleet_covers", "Covers that are stored."),
			lag:         gauge("fold_lag_covers", "Covers that are stored, of imports that this process drives, and that it has not taken in yet."),
			foldBytes:   gauge("fold_bytes", "Memory of the covers that this process has taken in."),
		},
	}
	for _, state := range states {
		m.fleet.imports.WithLabelValues(string(state))
		if state.Ended() {
			m.finished.WithLabelValues(string(state))
		}
	}
	for _, result := range []string{"landed", "moved"} {
		m.attempts.WithLabelValues(result)
	}
	for _, state := range []string{"queued", "running"} {
		m.fleet.partitions.WithLabelValues(state)
	}
	for _, step := range []string{stepPlan, stepCommit} {
		m.stepTime.WithLabelValues(step)
		m.steps.WithLabelValues(step, phaseWaiting)
		m.steps.WithLabelValues(step, phaseRunning)
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
