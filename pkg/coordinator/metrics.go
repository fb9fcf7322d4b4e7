package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
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

	lastSuccess prometheus.Gauge

	steps    *prometheus.GaugeVec     // by step and state
	stepTime *prometheus.HistogramVec // by step

	broken  *prometheus.GaugeVec // by bucket
	imports *prometheus.GaugeVec // of the whole fleet, by state

	partitions  *prometheus.GaugeVec // by state
	redelivered prometheus.Gauge
	repeated    prometheus.Counter
	waiting     prometheus.Gauge
	sign        prometheus.Gauge // of a worker
	wanted      prometheus.Gauge
	covers      prometheus.Gauge
}

// Results of attempts to commit an import.
const (
	attemptLanded  = "landed"
	attemptMoved   = "moved"
	attemptRefused = "refused"
	attemptUnknown = "unknown"
)

// states are all states of an import.
var states = []imports.State{imports.Running, imports.Committing, imports.Completed, imports.Failed, imports.Canceled, imports.Previewed}

func newMetrics(reg prometheus.Registerer) *metrics {
	var all, ended []string
	for _, state := range states {
		if all = append(all, string(state)); state.Ended() {
			ended = append(ended, string(state))
		}
	}
	f := metric.With(reg)
	fleet := f.In("fleet")
	return &metrics{
		started:    f.Counter("imports_started_total", "Imports that were accepted."),
		finished:   f.CounterVec("imports_finished_total", "Imports that ended while this process drove them, by how.", metric.By("outcome", ended...)),
		driving:    f.Gauge("imports_driving", "Imports that this process drives now."),
		objects:    f.Counter("import_objects_total", "Objects of imports that completed."),
		planned:    f.Counter("partitions_planned_total", "Partitions that imports were planned with: one each."),
		gapsClosed: f.Counter("gaps_published_total", "Gaps between covers that were published again as partitions."),
		attempts: f.CounterVec("commit_attempts_total", "Attempts to commit an import to its branch, by how they ended: landed; moved (the head of the branch had moved meanwhile, so that another attempt follows); refused by the lakeFS server; or unknown (its answer was lost).",
			metric.By("result", attemptLanded, attemptMoved, attemptRefused, attemptUnknown)),
		retries:   f.Counter("import_step_retries_total", "Steps of imports that met an error and were tried again."),
		takeovers: f.Counter("import_takeovers_total", "Imports that this process took over from a coordinator that is gone."),
		forgotten: f.Counter("imports_forgotten_total", "Imports whose state this process removed a day after they ended."),
		duration: f.Histogram("import_duration_seconds", "Time from the request to the commit of imports that completed.",
			metric.Buckets(1.2, 7)), // to 82 minutes
		lastSuccess: f.Gauge("import_last_success_timestamp_seconds", "When an import was last completed, of those that are kept, in seconds since 1970; 0 if none was."),
		steps: f.GaugeVec("import_steps", "Imports that are planned or committed by this process now, or wait for their turn.",
			metric.By("step", stepPlan, stepCommit), metric.By("state", phaseWaiting, phaseRunning)),
		stepTime: f.HistogramVec("import_step_duration_seconds", "Time that one try of a step of an import took: to plan it, to list and write all of its keys after that, to commit it (both without waiting for a turn).",
			metric.Buckets(0.2, 7), metric.By("step", stepPlan, stepList, stepCommit)), // to 14 minutes
		broken: f.GaugeVec("records_broken", "Records that cannot be decoded and are left out, by bucket, as of the last look.",
			metric.By("bucket", kv.BucketImports, kv.BucketCatalog)),
		imports: fleet.GaugeVec("imports", "Imports that are kept, by state.", metric.By("state", all...)),
		partitions: fleet.GaugeVec("partitions", "Partitions in the work queue: queued ones, and running ones, which a worker has.",
			metric.By("state", "queued", "running")),
		redelivered: fleet.Gauge("partitions_redelivered", "Running partitions that were delivered before."),
		repeated:    fleet.Counter("deliveries_repeated_total", "Deliveries, counted as they begin, of partitions with which those before got no further. What a worker gave back as it stopped, or as a store hung, does not count."),
		waiting:     fleet.Gauge("workers_waiting", "Workers that wait for a partition."),
		sign:        fleet.Gauge("worker_sign_timestamp_seconds", "When there was last a sign of a worker, which may be any of the fleet, in seconds since 1970; 0 before the first look."),
		wanted:      f.Gauge("wanted_workers", "Workers that would list in a minute what is left of the imports that this process drives, at most 1000: 0 if no partition is left, 1 as long as it is not known how much that is. The sum of all coordinators counts."),
		covers:      fleet.Gauge("covers", "Covers that are stored."),
	}
}

// ended counts an import that ended at time now.
func (m *metrics) ended(r imports.Record, now time.Time) {
	m.finished.WithLabelValues(string(r.State)).Inc()
	if r.State == imports.Completed {
		metric.Observe(m.duration, now.Sub(r.Created).Seconds(), r.Trace.ID())
		m.lastSuccess.Set(metric.Time(now))
		m.objects.Add(float64(r.Objects))
	}
}
