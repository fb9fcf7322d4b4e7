package otlp

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/redact"
)

// longestError bounds what the log shows of an error, which may quote an answer.
const longestError = 300

// counters count spans.
type counters struct{ exported, full, failed prometheus.Counter }

func newCounters(reg prometheus.Registerer) counters {
	f := metric.With(reg).In("trace")
	dropped := f.CounterVec("spans_dropped_total", "Spans that were lost: the queue was full, or the collector did not take them.",
		metric.By("reason", "queue_full", "export_failed"))
	return counters{
		exported: f.Counter("spans_exported_total", "Spans that the collector took."),
		full:     dropped.WithLabelValues("queue_full"), failed: dropped.WithLabelValues("export_failed"),
	}
}

// queue bounds how many ended spans wait for the collector, and counts those that get lost. The
// SDK's own queue behind it does not tell what it drops. Its bound is the same, so it is never
// full.
type queue struct {
	sdktrace.SpanProcessor
	limit   int64
	pending *atomic.Int64 // spans that wait or are being exported
	full    prometheus.Counter
}

func newQueue(exporter sdktrace.SpanExporter, env environment, count counters, log *slog.Logger) queue {
	q := queue{limit: int64(env.queue), pending: new(atomic.Int64), full: count.full}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(
		&countingExporter{SpanExporter: exporter, count: count, pending: q.pending, log: log},
		sdktrace.WithMaxQueueSize(env.queue), sdktrace.WithBatchTimeout(env.delay), sdktrace.WithMaxExportBatchSize(min(env.batch, env.queue)),
	)
	return q
}

// OnEnd queues a span, or drops it. It never waits.
func (q queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.pending.Add(1) > q.limit {
		q.pending.Add(-1)
		q.full.Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// countingExporter counts what became of the spans, and logs when exports begin to fail and when
// they work again. It returns no error: the SDK would print it.
type countingExporter struct {
	sdktrace.SpanExporter
	count   counters
	pending *atomic.Int64
	log     *slog.Logger
	since   atomic.Pointer[time.Time] // since when exports fail; nil if they work
}

// ExportSpans sends spans to the collector.
func (e *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.pending.Add(-int64(len(spans)))
	if err == nil {
		e.count.exported.Add(float64(len(spans)))
		if e.since.Swap(nil) != nil {
			e.log.Info("the collector takes traces again")
		}
		return nil
	}
	e.count.failed.Add(float64(len(spans)))
	if e.since.CompareAndSwap(nil, new(time.Now())) {
		text := redact.URLs(err.Error())
		e.log.Warn("the collector takes no traces", "err", text[:min(len(text), longestError)])
	}
	return nil
}
