package otlp

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// follower decides for the whole of an import at once: its first span is chosen by the sampler of
// the environment, and all others follow it, also those of its partitions, which are in other
// traces. So an import is recorded as a whole or not at all.
type follower struct{ first sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (f follower) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if parent := trace.SpanContextFromContext(p.ParentContext); parent.IsValid() {
		return decide(parent, p)
	}
	for _, l := range p.Links {
		if tracing.IsImport(l) {
			return decide(l.SpanContext, p)
		}
	}
	return f.first.ShouldSample(p)
}

func decide(by trace.SpanContext, p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if by.IsSampled() {
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return sdktrace.NeverSample().ShouldSample(p)
}

// Description implements sdktrace.Sampler.
func (f follower) Description() string { return "OfTheImport{" + f.first.Description() + "}" }
