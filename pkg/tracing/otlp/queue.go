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
// SDK's own queue behind it does not tell what it drops. It has room for more, so it is never
// full.
//
// The roots of traces are sent at once, and others in batches: should the process be killed, what
// other processes refer to is not lost with it.
type queue struct {
	sdktrace.SpanProcessor
	limit   int64
	pending *atomic.Int64 // spans that wait or are being exported
	full    prometheus.Counter
	hurry   chan struct{} // holds a value while a root waits
	stop    context.CancelFunc
}

func newQueue(exporter sdktrace.SpanExporter, env environment, count counters, log *slog.Logger) queue {
	q := queue{limit: int64(env.queue), pending: new(atomic.Int64), full: count.full, hurry: make(chan struct{}, 1)}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(
		&countingExporter{SpanExporter: exporter, count: count, pending: q.pending, log: log},
		sdktrace.WithMaxQueueSize(env.queue+1), sdktrace.WithBatchTimeout(env.delay), sdktrace.WithMaxExportBatchSize(min(env.batch, env.queue)),
	)
	var running context.Context
	running, q.stop = context.WithCancel(context.Background())
	go q.flush(running)
	return q
}

// flush sends what waits whenever a root waits, until ctx ends. It takes one place in the SDK's
// queue. An export that runs when ctx ends goes on, so that its spans are not lost.
func (q queue) flush(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.hurry:
			_ = q.ForceFlush(context.WithoutCancel(ctx)) // the exporter reports its errors
		}
	}
}

// Shutdown sends what waits, until ctx ends.
func (q queue) Shutdown(ctx context.Context) error {
	q.stop()
	return q.SpanProcessor.Shutdown(ctx)
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
	if !s.Parent().IsValid() {
		select {
		case q.hurry <- struct{}{}:
		default: // it waits already
		}
	}
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
			e.log.InfoContext(ctx, "the collector takes traces again")
		}
		return nil
	}
	e.count.failed.Add(float64(len(spans)))
	if e.since.CompareAndSwap(nil, new(time.Now())) {
		text := redact.URLs(err.Error())
		e.log.WarnContext(ctx, "the collector takes no traces", "err", text[:min(len(text), longestError)])
	}
	return nil
}
