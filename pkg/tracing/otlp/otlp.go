// Package otlp sends the spans of a process to a collector by OTLP, over gRPC or HTTP. It is
// configured by OpenTelemetry's own environment variables, and sends nothing unless one of them
// names an endpoint. It uses none of OpenTelemetry's globals.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// flushTimeout is how long Close waits for the spans that are left.
const flushTimeout = 2 * time.Second

// Config says what a Provider is for. All fields are required.
type Config struct {
	Service    string // service.name, unless the environment names one
	Version    string // service.version
	Instance   string // service.instance.id, unless the environment names one
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Provider makes the tracers of a process. Its methods may be called concurrently.
type Provider struct {
	trace.TracerProvider
	sdk *sdktrace.TracerProvider // nil while tracing is off
}

// New returns a provider that is configured by the environment; see docs/tracing.md. While
// tracing is off, its tracers do nothing. It is an error that names the variable if one of those
// has no valid value. The endpoint need not be reachable: an endpoint that refuses, hangs or is
// slow loses spans, which are counted, and delays nobody. The caller closes the provider.
func New(ctx context.Context, cfg Config) (*Provider, error) {
	count := newCounters(cfg.Registerer)
	env, err := readEnvironment(os.Getenv)
	if err != nil {
		return nil, fmt.Errorf("set up tracing: %w", err)
	}
	if !env.on {
		return &Provider{TracerProvider: noop.NewTracerProvider()}, nil
	}
	about, err := describe(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("set up tracing: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := newExporter(ctx, env.protocol)
	if err != nil {
		return nil, fmt.Errorf("set up tracing: %w", err)
	}
	q := newQueue(exporter, env, count, cfg.Log)
	sdk := sdktrace.NewTracerProvider(
		sdktrace.WithResource(about), sdktrace.WithSampler(follower{env.sampler}),
		sdktrace.WithSpanProcessor(q), sdktrace.WithRawSpanLimits(limits()),
	)
	return &Provider{TracerProvider: sdk, sdk: sdk}, nil
}

// describe returns what all spans of the process say of it. The environment wins.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(tracing.Process(cfg.Service, cfg.Version, cfg.Instance)...),
		resource.WithFromEnv(),
	)
}

func newExporter(ctx context.Context, protocol string) (sdktrace.SpanExporter, error) {
	client := otlptracehttp.NewClient()
	if protocol == protocolGRPC {
		client = otlptracegrpc.NewClient()
	}
	return otlptrace.New(ctx, client) // does not wait for a connection
}

// limits bounds what a span holds, so that a queue of spans takes a few MiB.
func limits() sdktrace.SpanLimits {
	return sdktrace.SpanLimits{
		AttributeValueLengthLimit: 1024, AttributeCountLimit: 64, EventCountLimit: 64, LinkCountLimit: 16,
		AttributePerEventCountLimit: 16, AttributePerLinkCountLimit: 16,
	}
}

// Close sends the spans that are left, for at most two seconds. Spans that end later are lost.
func (p *Provider) Close(ctx context.Context) error {
	if p.sdk == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, flushTimeout, errors.New("the endpoint did not take the last spans in time"))
	defer cancel()
	if err := p.sdk.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", context.Cause(ctx))
	}
	return nil
}
