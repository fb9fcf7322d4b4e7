package tracing

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0" // imported only here, so that all spans are of one version
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of all spans.
const scope = "github.com/rangefleet/rangefleet"

// Attributes that no convention names.
const (
	ImportID    = attribute.Key("rangefleet.import.id")
	Repository  = attribute.Key("rangefleet.repository")
	Branch      = attribute.Key("rangefleet.branch")
	State       = attribute.Key("rangefleet.import.state")      // in which the import ended
	PartitionID = attribute.Key("rangefleet.partition.id")      // of the work queue
	Deliveries  = attribute.Key("rangefleet.partition.tries")   // how often the partition was delivered, with this one
	Outcome     = attribute.Key("rangefleet.partition.outcome") // of a delivery
	Keys        = attribute.Key("rangefleet.keys")
	Pages       = attribute.Key("rangefleet.pages")
	Ranges      = attribute.Key("rangefleet.ranges")
	RangeID     = attribute.Key("rangefleet.range.id")
	Bytes       = attribute.Key("rangefleet.range.estimated_bytes")
	MetarangeID = attribute.Key("rangefleet.metarange.id")
	CommitID    = attribute.Key("rangefleet.commit.id")
)

// Process returns the attributes of a process.
func Process(service, version, instance string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.ServiceName(service), semconv.ServiceNamespace("rangefleet"),
		semconv.ServiceVersion(version), semconv.ServiceInstanceID(instance),
	}
}

// Request returns the attributes of an HTTP request.
func Request(method, route string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route)}
}

// StatusCode returns the attribute of an HTTP answer.
func StatusCode(code int) attribute.KeyValue { return semconv.HTTPResponseStatusCode(code) }

// Operation is what is done with a message, as the messaging conventions name it.
type Operation struct {
	name, kind string
	span       trace.SpanKind
}

// The operations.
var (
	Send    = Operation{"send", "send", trace.SpanKindProducer}
	Receive = Operation{"receive", "receive", trace.SpanKindClient}
	Handle  = Operation{"process", "process", trace.SpanKindConsumer}
)

// Span returns the name of a span of the operation on a queue. The name of the queue is the same
// for all imports.
func (o Operation) Span(queue string) string { return o.name + " " + queue }

// On returns the options of a span of the operation on a queue: with the subject of its messages
// as a template, and the group of those who receive them, or "".
func (o Operation) On(queue, subjects, group string) []trace.SpanStartOption {
	attrs := []attribute.KeyValue{
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName(o.name), semconv.MessagingOperationTypeKey.String(o.kind),
		semconv.MessagingDestinationName(queue), semconv.MessagingDestinationTemplate(subjects),
	}
	if group != "" {
		attrs = append(attrs, semconv.MessagingConsumerGroupName(group))
	}
	return []trace.SpanStartOption{trace.WithSpanKind(o.span), trace.WithAttributes(attrs...)}
}

// linkKind tells why a link is there.
const linkKind = attribute.Key("rangefleet.link")

// Import returns a link to the import at a place.
func Import(p Place) trace.Link {
	return trace.Link{SpanContext: p.context(), Attributes: []attribute.KeyValue{linkKind.String("import")}}
}

// Caller returns a link to the trace of whoever called.
func Caller(p Place) trace.Link {
	return trace.Link{SpanContext: p.context(), Attributes: []attribute.KeyValue{linkKind.String("caller")}}
}

// IsImport reports whether Import returned the link.
func IsImport(l trace.Link) bool {
	return slices.Contains(l.Attributes, linkKind.String("import"))
}
