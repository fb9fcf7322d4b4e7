package server

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// traced runs what starts an import in the span that is the root of the import's trace.
//
// A caller's traceparent becomes a link, not the parent. As a parent it would choose what is
// recorded here, by its flag, and put imports of hours into traces of strangers. The span is made
// once the caller is known and may start the import, so nobody else makes any.
//
// The answer has the code if start returns no error. A fault is the caller's, and no error of the
// span.
func (h *handlers) traced(ctx context.Context, r *http.Request, code int, start func(context.Context) (id string, err error)) (string, error) {
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), tracing.With(tracing.Request(r.Method, route(r))...)}
	if from := callerOf(r); from.Valid() {
		opts = append(opts, trace.WithLinks(tracing.Caller(from)))
	}
	ctx, span := h.tracer.Start(ctx, r.Method+" "+route(r), opts...)
	defer span.End()
	id, err := start(ctx)
	if _, ok := errors.AsType[*fault.Fault](err); ok {
		return id, err
	}
	if err == nil {
		span.SetAttributes(tracing.ImportID.String(id), tracing.StatusCode(code))
	}
	tracing.Fail(span, err)
	return id, err
}

// callerOf returns the place that a request comes from, which need not be one.
func callerOf(r *http.Request) tracing.Place {
	return tracing.Place{Parent: r.Header.Get(tracing.Header), State: r.Header.Get(tracing.StateHeader)}
}
