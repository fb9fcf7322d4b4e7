package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue"
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

	broken *prometheus.GaugeVec // by bucket

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

var states = []imports.State{imports.Running, imports.Committing, imports.Completed, imports.Failed, imports.Canceled, imports.Previewed}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := family{promauto.With(reg)}
	m := &metrics{
		started:    f.counter("imports_started_total", "Imports that were accepted."),
		finished:   f.counters("imports_finished_total", "Imports that ended while this process drove them, by how.", "outcome"),
		driving:    f.gauge("imports_driving", "Imports that this process drives now."),
		objects:    f.counter("import_objects_total", "Objects of imports that completed."),
		planned:    f.counter("partitions_planned_total", "Partitions that imports were planned with: one each."),
		gapsClosed: f.counter("gaps_published_total", "Gaps between covers that were published again as partitions."),
		attempts:   f.counters("commit_attempts_total", "Attempts to move a branch to an import's commit, by whether its head had moved meanwhile.", "result"),
		retries:    f.counter("import_step_retries_total", "Steps of imports that met an error and were tried again."),
		takeovers:  f.counter("import_takeovers_total", "Imports that this process took over from a coordinator that is gone."),
		forgotten:  f.counter("imports_forgotten_total", "Imports whose state this process removed a day after they ended."),
		duration: f.histogram("import_duration_seconds", "Time from the request to the commit of imports that completed.",
			prometheus.ExponentialBuckets(0.25, 4, 10)),
		steps: f.gauges("import_steps", "Imports that are planned or committed by this process now, or wait for their turn.", "step", "phase"),
		stepTime: f.histograms("import_step_duration_seconds", "Time that planning an import, or bringing it onto its branch, took, without waiting for its turn.",
			prometheus.ExponentialBuckets(0.01, 3, 10), "step"),
		folded:   f.counter("covers_folded_total", "Covers that this process took in."),
		broken:   f.gauges("records_broken", "Records that cannot be decoded and are left out, by bucket, as of the last look.", "bucket"),
		foldTime: f.histogram("fold_duration_seconds", "Time to fold the covers of one import.", prometheus.ExponentialBuckets(0.0001, 10, 6)),
		fleet: fleetMetrics{
			imports:      f.gauges("fleet_imports", "Imports that are kept, by state.", "state"),
			coordinators: f.gauge("fleet_coordinators", "Coordinators that are alive."),
			partitions:   f.gauges("fleet_partitions", "Partitions in the work queue: queued ones, and running ones, which a worker has.", "state"),
			redelivered:  f.gauge("fleet_partitions_redelivered", "Running partitions that were delivered before."),
			waiting:      f.gauge("fleet_workers_waiting", "Workers that wait for a partition."),
			covers:       f.gauge("fleet_covers", "Covers that are stored."),
			lag:          f.gauge("fold_lag_covers", "Covers that are stored, of imports that this process drives, and that it has not taken in yet."),
			foldBytes:    f.gauge("fold_bytes", "Memory of the covers that this process has taken in."),
		},
	}
	m.showZeros()
	return m
}

// showZeros makes all series, so that those are seen of which nothing has happened.
func (m *metrics) showZeros() {
	for _, state := range states {
		m.fleet.imports.WithLabelValues(string(state))
		if state.Ended() {
			m.finished.WithLabelValues(string(state))
		}
	}
	for _, result := range []string{"landed", "moved"} {
		m.attempts.WithLabelValues(result)
	}
	for _, bucket := range []string{queue.BucketImports, queue.BucketCatalog} {
		m.broken.WithLabelValues(bucket)
	}
	for _, state := range []string{"queued", "running"} {
		m.fleet.partitions.WithLabelValues(state)
	}
	for _, step := range []string{stepPlan, stepCommit} {
		m.stepTime.WithLabelValues(step)
		m.steps.WithLabelValues(step, phaseWaiting)
		m.steps.WithLabelValues(step, phaseRunning)
	}
}

// family makes metrics of this program.
type family struct{ promauto.Factory }

func (f family) counter(name, help string) prometheus.Counter {
	return f.NewCounter(prometheus.CounterOpts{Name: "rangefleet_" + name, Help: help})
}

func (f family) counters(name, help, label string) *prometheus.CounterVec {
	return f.NewCounterVec(prometheus.CounterOpts{Name: "rangefleet_" + name, Help: help}, []string{label})
}

func (f family) gauge(name, help string) prometheus.Gauge {
	return f.NewGauge(prometheus.GaugeOpts{Name: "rangefleet_" + name, Help: help})
}

func (f family) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return f.NewGaugeVec(prometheus.GaugeOpts{Name: "rangefleet_" + name, Help: help}, labels)
}

func (f family) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return f.NewHistogram(prometheus.HistogramOpts{Name: "rangefleet_" + name, Help: help, Buckets: buckets})
}

func (f family) histograms(name, help string, buckets []float64, label string) *prometheus.HistogramVec {
	return f.NewHistogramVec(prometheus.HistogramOpts{Name: "rangefleet_" + name, Help: help, Buckets: buckets}, []string{label})
}

// ended counts an import that ended at time now.
func (m *metrics) ended(r imports.Record, now time.Time) {
	m.finished.WithLabelValues(string(r.State)).Inc()
	if r.State == imports.Completed {
		m.duration.Observe(now.Sub(r.Created).Seconds())
		m.objects.Add(float64(r.Objects))
	}
}
