package metric_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rangefleet/rangefleet/internal/metric"
)

func TestMetricsAreRegisteredWithTheirKnownSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	f := metric.With(reg)
	f.Counter("imports_total", "Imports.").Inc()
	f.Gauge("imports_running", "Running imports.").Set(2)
	f.Histogram("import_seconds", "Time.", []float64{1}).Observe(3)
	f.CounterVec("calls_total", "Calls.", metric.By("op", "get", "put"), metric.By("outcome", "ok", "error")).WithLabelValues("put", "ok").Inc()
	f.GaugeVec("steps", "Steps.", metric.By("step", "plan"))
	q := f.In("queue")
	q.CounterFunc("messages_total", "Messages.", func() float64 { return 7 })
	q.HistogramVec("call_seconds", "Time.", []float64{1}, metric.By("op", "get"))
	q.CounterVec("codes_total", "Codes.", metric.By("code")) // no values are known
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := answer.Body.String(); got != `# HELP rangefleet_calls_total Calls.
# TYPE rangefleet_calls_total counter
rangefleet_calls_total{op="get",outcome="error"} 0
rangefleet_calls_total{op="get",outcome="ok"} 0
rangefleet_calls_total{op="put",outcome="error"} 0
rangefleet_calls_total{op="put",outcome="ok"} 1
# HELP rangefleet_import_seconds Time.
# TYPE rangefleet_import_seconds histogram
rangefleet_import_seconds_bucket{le="1"} 0
rangefleet_import_seconds_bucket{le="+Inf"} 1
rangefleet_import_seconds_sum 3
rangefleet_import_seconds_count 1
# HELP rangefleet_imports_running Running imports.
# TYPE rangefleet_imports_running gauge
rangefleet_imports_running 2
# HELP rangefleet_imports_total Imports.
# TYPE rangefleet_imports_total counter
rangefleet_imports_total 1
# HELP rangefleet_queue_call_seconds Time.
# TYPE rangefleet_queue_call_seconds histogram
rangefleet_queue_call_seconds_bucket{op="get",le="1"} 0
rangefleet_queue_call_seconds_bucket{op="get",le="+Inf"} 0
rangefleet_queue_call_seconds_sum{op="get"} 0
rangefleet_queue_call_seconds_count{op="get"} 0
# HELP rangefleet_queue_messages_total Messages.
# TYPE rangefleet_queue_messages_total counter
rangefleet_queue_messages_total 7
# HELP rangefleet_steps Steps.
# TYPE rangefleet_steps gauge
rangefleet_steps{step="plan"} 0
` {
		t.Errorf("the metrics are\n%s", got)
	}
}

// Bounds of buckets are never integers, and each trace that is known is named.
func TestHistograms(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := metric.With(reg).Histogram("call_seconds", "Time.", metric.Buckets(0.005, 4))
	metric.Observe(h, 0.3, "")
	metric.Observe(h, 0.03, "0af7651916cd43dd8448eb211c80319c")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := families[0].GetMetric()[0].GetHistogram()
	if len(got.GetBucket()) != 4 || got.GetSampleCount() != 2 {
		t.Errorf("%d buckets with %d values, want 4 with 2", len(got.GetBucket()), got.GetSampleCount())
	}
	if got.GetSchema() != 3 || len(got.GetPositiveSpan()) == 0 {
		t.Errorf("the native histogram has schema %d and %d spans, want neighbours that differ by less than a tenth", got.GetSchema(), len(got.GetPositiveSpan()))
	}
	for i, b := range got.GetBucket() {
		if (b.GetExemplar() != nil) != (i == 2) {
			t.Errorf("bucket %v has the exemplar %v", b.GetUpperBound(), b.GetExemplar())
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("buckets with an integer were made")
		}
	}()
	metric.Buckets(0.25, 2)
}

func TestTime(t *testing.T) {
	if got := metric.Time(time.UnixMilli(1_700_000_000_250)); got != 1_700_000_000.25 {
		t.Errorf("%v", got)
	}
	if got := metric.Time(time.Time{}); got != 0 {
		t.Errorf("no time is %v", got)
	}
}
