// Package tracing says how an import is traced: how its trace is carried in records and
// messages, and what spans are called and hold. It knows OpenTelemetry's API, not its SDK;
// package otlp sets that up.
//
// An import has one trace. Its root is the request that started it, and all other spans are
// children of the root: a span whose process dies is lost, and a child of it would have a
// parent that does not exist. A delivery of a partition is a trace of its own, with a link to
// the import's root, as a partition may be delivered to many workers, hours after the request.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// ID returns the ID of the trace that ctx is in, as 32 hexadecimal digits. It is "" if there is
// none, or if it was not chosen to be recorded, so that the ID would lead nowhere.
func ID(ctx context.Context) string { return idOf(trace.SpanContextFromContext(ctx)) }

func idOf(sc trace.SpanContext) string {
	if !sc.IsValid() || !sc.IsSampled() {
		return ""
	}
	return sc.TraceID().String()
}

// Place is a place in a trace, as the W3C's Trace Context writes it. The zero value is a place
// in none.
type Place struct {
	Parent string `json:"traceparent,omitempty"`
	State  string `json:"tracestate,omitempty"`
}

// Here returns the place of the span of ctx. It is zero unless the trace is recorded: what is
// not recorded needs no place.
func Here(ctx context.Context) Place {
	if ID(ctx) == "" {
		return Place{}
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return Place{Parent: carrier[Header], State: carrier[StateHeader]}
}

// The headers of a place, in HTTP and in NATS.
const (
	Header      = "traceparent"
	StateHeader = "tracestate"
)

// Valid reports whether it is a place, recorded or not.
func (p Place) Valid() bool { return p.context().IsValid() }

// Headers returns the headers that carry the place. There are none for the zero value.
func (p Place) Headers() map[string]string {
	headers := make(map[string]string, 2)
	if p.Parent != "" {
		headers[Header] = p.Parent
	}
	if p.State != "" {
		headers[StateHeader] = p.State
	}
	return headers
}

// ID is the ID of the trace, or "".
func (p Place) ID() string { return idOf(p.context()) }

// In returns a context whose spans are children of the place. It is ctx for the zero value, and
// for what is not a place: a trace is no reason to fail.
func (p Place) In(ctx context.Context) context.Context {
	if sc := p.context(); sc.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, sc)
	}
	return ctx
}

func (p Place) context() trace.SpanContext {
	if p.Parent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{Header: p.Parent, StateHeader: p.State}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
