// Package otlptest has a collector of traces for tests: an OTLP receiver, by gRPC and HTTP, that
// keeps what it gets and checks that it fits together.
package otlptest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/rangefleet/rangefleet/internal/canary"
)

// Span is a span that the collector got.
type Span struct {
	Name, Kind string
	Trace      string // hexadecimal
	Events     int
	Service    string            // service.name
	Attributes map[string]string // also those of the process

	id, parent string // hexadecimal; parent is "" for a root
	links      []link
}

// link is a link of a span to a span.
type link struct{ trace, id, kind string }

// Collector receives spans. Its methods may be called concurrently.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	grpc, http string // URLs
	hold       func(context.Context)

	mu    sync.Mutex
	spans []Span
	bytes []byte
}

// Start starts a collector, which ends with the test. hold, if not nil, is called before each
// answer. All that is received is searched for the secrets of the tests; see package canary.
func Start(t testing.TB, hold func(context.Context)) *Collector {
	t.Helper()
	c := &Collector{hold: hold}
	listen := func() net.Listener {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	forGRPC, forHTTP := listen(), listen()
	c.grpc, c.http = "http://"+forGRPC.Addr().String(), "http://"+forHTTP.Addr().String()
	g := grpc.NewServer()
	collector.RegisterTraceServiceServer(g, c)
	h := &http.Server{Handler: http.HandlerFunc(c.serveHTTP)} //nolint:gosec // of a test
	var serving sync.WaitGroup
	serving.Go(func() { _ = g.Serve(forGRPC) }) // it ends when the test does
	serving.Go(func() { _ = h.Serve(forHTTP) })
	t.Cleanup(func() {
		g.Stop()
		_ = h.Close()
		serving.Wait()
	})
	return c
}

// Environment returns the variables that have a process send its spans here, by the protocol: grpc
// or http/protobuf.
func (c *Collector) Environment(protocol string) []string {
	endpoint := c.http
	if protocol == "grpc" {
		endpoint = c.grpc
	}
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=" + protocol}
}

// Export implements the gRPC service.
func (c *Collector) Export(ctx context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.take(ctx, r)
	return new(collector.ExportTraceServiceResponse), nil
}

func (c *Collector) serveHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := new(collector.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprintf("%s: %v", r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.take(r.Context(), request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) take(ctx context.Context, r *collector.ExportTraceServiceRequest) {
	if c.hold != nil {
		c.hold(ctx)
	}
	var got []Span
	for _, of := range r.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				got = append(got, read(of, s))
			}
		}
	}
	raw, _ := proto.Marshal(r)   // what was decoded always encodes
	text, _ := json.Marshal(got) // and so do strings and numbers
	output := canary.Tee(io.Discard)
	_, _ = output.Write(append(raw, '\n'))
	_, _ = output.Write(append(text, '\n'))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, got...)
	c.bytes = append(c.bytes, raw...)
}

func read(of *tracepb.ResourceSpans, s *tracepb.Span) Span {
	span := Span{
		Name: s.Name, Kind: strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")),
		Trace: hex.EncodeToString(s.TraceId), id: hex.EncodeToString(s.SpanId), parent: hex.EncodeToString(s.ParentSpanId),
		Events: len(s.Events), Attributes: make(map[string]string),
	}
	note(span.Attributes, of.Resource.GetAttributes())
	note(span.Attributes, s.Attributes)
	for _, e := range s.Events {
		note(span.Attributes, e.Attributes)
	}
	span.Service = span.Attributes["service.name"]
	for _, l := range s.Links {
		about := make(map[string]string)
		note(about, l.Attributes)
		span.links = append(span.links, link{trace: hex.EncodeToString(l.TraceId), id: hex.EncodeToString(l.SpanId), kind: about["rangefleet.link"]})
	}
	return span
}

// note adds attributes to a map, as text.
func note(to map[string]string, attributes []*common.KeyValue) {
	for _, a := range attributes {
		switch v := a.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			to[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			to[a.Key] = fmt.Sprint(v.IntValue)
		default:
			to[a.Key] = a.Value.String()
		}
	}
}

// Spans returns what was received so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Bytes returns the protobuf messages that were received so far, one after the other.
func (c *Collector) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bytes)
}

// LinkedTo returns the traces to which the span has links of a kind, the value of rangefleet.link.
func (s Span) LinkedTo(kind string) (traces []string) {
	for _, l := range s.links {
		if l.kind == kind {
			traces = append(traces, l.trace)
		}
	}
	return traces
}

// Named returns the spans of the name.
func (c *Collector) Named(name string) []Span {
	return slices.DeleteFunc(c.Spans(), func(s Span) bool { return s.Name != name })
}

// Loose returns what is wrong with how the spans hang together. The spans of an import are in the
// trace with its ID, or in traces whose roots have links to that one. Every parent and every such
// link is a span that was received.
func (c *Collector) Loose(importTrace string) (problems []string) {
	spans := c.Spans()
	type place struct{ trace, id string }
	known := make(map[place]bool, len(spans))
	for _, s := range spans {
		if known[place{s.Trace, s.id}] {
			problems = append(problems, fmt.Sprintf("%s %s was received twice", s.Name, s.id))
		}
		known[place{s.Trace, s.id}] = true
	}
	for _, s := range spans {
		if s.parent != "" && !known[place{s.Trace, s.parent}] {
			problems = append(problems, fmt.Sprintf("the parent of %q of %s is missing", s.Name, s.Service))
		}
		linked := false
		for _, l := range s.links {
			linked = linked || l.kind == "import" && l.trace == importTrace
			if l.kind == "import" && !known[place{l.trace, l.id}] {
				problems = append(problems, fmt.Sprintf("%q of %s has a link to nothing", s.Name, s.Service))
			}
		}
		if s.parent == "" && s.Trace != importTrace && !linked {
			problems = append(problems, fmt.Sprintf("%q of %s is in a trace of its own, without a link", s.Name, s.Service))
		}
	}
	return problems
}
