package tracing

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0" // the only import of them: one version for all spans
	"go.opentelemetry.io/otel/trace"
)

// Name is the instrumentation scope of all spans, for trace.TracerProvider.Tracer.
const Name = "github.com/rangefleet/rangefleet"

// Process returns the attributes of a process.
func Process(service, version, instance string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.ServiceName(service), semconv.ServiceNamespace("rangefleet"),
		semconv.ServiceVersion(version), semconv.ServiceInstanceID(instance),
	}
}

// linkKind tells why a link is there.
const linkKind = attribute.Key("rangefleet.link")

// Import returns a link to the import at a place.
func Import(p Place) trace.Link {
	return trace.Link{SpanContext: p.context(), Attributes: []attribute.KeyValue{linkKind.String("import")}}
}

// Caller returns a link to the trace of whoever called. It is not the import's parent: callers
// must not choose what is recorded here.
func Caller(p Place) trace.Link {
	return trace.Link{SpanContext: p.context(), Attributes: []attribute.KeyValue{linkKind.String("caller")}}
}

// IsImport reports whether Import returned the link.
func IsImport(l trace.Link) bool {
	return slices.Contains(l.Attributes, linkKind.String("import"))
}
