package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/rangefleet/rangefleet/pkg/redact"
)

// longestError bounds what a span holds of an error, in bytes. The start of an error says what
// was attempted.
const longestError = 500

// Tracer returns a tracer of a provider, or one that does nothing if the provider is nil.
func Tracer(p trace.TracerProvider) trace.Tracer {
	if p == nil {
		p = noop.NewTracerProvider()
	}
	return p.Tracer(scope)
}

// Step runs a step of the import whose trace ctx is in, in a span of that trace. Outside a
// recorded trace it only runs the step.
func Step(ctx context.Context, t trace.Tracer, name string, step func() error, opts ...trace.SpanStartOption) error {
	if ID(ctx) == "" {
		return step()
	}
	_, span := t.Start(ctx, name, opts...)
	defer span.End()
	err := step()
	Fail(span, err)
	return err
}

// Past makes a span of what is over, in the trace of ctx. Outside a recorded trace it does
// nothing.
func Past(ctx context.Context, t trace.Tracer, name string, begun, ended time.Time, err error, opts ...trace.SpanStartOption) {
	if ID(ctx) == "" {
		return
	}
	_, span := t.Start(ctx, name, append(opts, trace.WithTimestamp(begun))...)
	Fail(span, err)
	span.End(trace.WithTimestamp(ended))
}

// Fail has a span say that it ended by an error, if err is not nil. Secrets of URLs in its text
// are hidden.
func Fail(span trace.Span, err error) {
	if err == nil || !span.IsRecording() {
		return
	}
	text := redact.URLs(err.Error())
	span.SetStatus(codes.Error, text[:min(len(text), longestError)])
}

// With returns an option that gives a span attributes.
func With(attrs ...attribute.KeyValue) trace.SpanStartOption { return trace.WithAttributes(attrs...) }
