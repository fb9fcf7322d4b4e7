package worker

import (
	"errors"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// A delivery without a recorded import makes no spans, and costs nothing.
func TestUnrecordedDeliveriesCostNothing(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := tracing.Tracer(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	unsampled := tracing.Place{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
	for _, place := range []tracing.Place{{}, unsampled, {Parent: "nothing"}} {
		s := newSpans(tracer, time.Now, queue.Bulk, &queue.Task{Trace: place})
		publish := func() error { return nil }
		r := &partition.RangeMetadata{}
		n := testing.AllocsPerRun(100, func() {
			s.page(1000)
			s.covered(r)
			_ = s.send(partition.Partition{}, publish)
			s.end("done", nil)
		})
		if n != 0 || len(recorder.Started()) != 0 {
			t.Errorf("place %+v: %v allocations, %d spans", place, n, len(recorder.Started()))
		}
	}
}

// The number of events does not grow with that of pages, and the spans end after their root.
func TestSpansOfADelivery(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := tracing.Tracer(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	place := tracing.Place{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	s := newSpans(tracer, time.Now, queue.Bulk, &queue.Task{Trace: place, Received: time.Now()})
	for range 100_000 {
		s.page(1000)
	}
	s.covered(&partition.RangeMetadata{Count: 7})
	s.covered(nil) // of an end without keys
	_ = s.send(partition.Partition{}, func() error { return errors.New("queue at nats://me:secret@host is full") })
	s.end("retried", errors.New("slow"))
	ended := recorder.Ended()
	if len(ended) != 4 {
		t.Fatalf("%d spans ended, want 4", len(ended))
	}
	root := ended[0]
	if l := root.Links(); len(l) != 1 || l[0].SpanContext.TraceID().String() != place.ID() || root.SpanContext().TraceID().String() == place.ID() || root.Parent().IsValid() {
		t.Errorf("the root is in trace %s with links %v", root.SpanContext().TraceID(), l)
	}
	for _, span := range ended[1:] {
		if span.Parent().SpanID() != root.SpanContext().SpanID() {
			t.Errorf("%s is not a child of the root", span.Name())
		}
	}
	if got := ended[2].Status().Description; got != "queue at nats://******@host is full" {
		t.Errorf("the error of a span is %q", got)
	}
	if process := ended[3]; len(process.Events()) != 17 || process.Status().Description != "slow" { // 1, 2, 4 ... 65536
		t.Errorf("%d events of pages, status %v", len(process.Events()), process.Status())
	}
}
