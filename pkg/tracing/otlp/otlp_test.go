package otlp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/otlptest"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/tracing"
	"github.com/rangefleet/rangefleet/pkg/tracing/otlp"
)

var protocols = []string{"grpc", "http/protobuf"}

// process is a provider with what it logs and counts.
type process struct {
	*otlp.Provider
	metrics *prometheus.Registry
	log     transcript.Buffer
}

// open sets the environment and opens a provider by it.
func open(t *testing.T, environment ...string) (*process, error) {
	t.Helper()
	for _, e := range environment {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	p := &process{metrics: prometheus.NewRegistry()}
	var err error
	p.Provider, err = otlp.New(t.Context(), otlp.Config{
		Service: "rangefleet-worker", Version: "v1", Instance: "here", Log: slog.New(slog.NewTextHandler(&p.log, nil)), Registerer: p.metrics,
	})
	return p, err
}

// spans makes roots. It would never return if a span waited for the collector.
func (p *process) spans(n int) {
	for range n {
		_, span := p.Tracer("test").Start(context.Background(), "root")
		span.End()
	}
}

// dropped returns how many spans were dropped for the reason.
func (p *process) dropped(t *testing.T, reason string) float64 {
	t.Helper()
	families, err := p.metrics.Gather()
	expect.NoError(t, err)
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "rangefleet_trace_spans_dropped_total" && m.Label[0].GetValue() == reason {
				return m.Counter.GetValue()
			}
		}
	}
	t.Fatalf("no metric of spans that are dropped as of %s", reason)
	return 0
}

// Spans arrive by either protocol, with what the environment says of the process.
func TestSpansArrive(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			c := otlptest.Start(t, nil)
			p, err := open(t, append(c.Environment(protocol), "OTEL_SERVICE_NAME=mine", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")...)
			expect.NoError(t, err)
			p.spans(3)
			expect.NoError(t, p.Close(t.Context())) // sends what is left
			got := c.Spans()
			if len(got) != 3 {
				t.Fatalf("%d spans arrived, want 3", len(got))
			}
			if s := got[0]; s.Service != "mine" || s.Attributes["deployment.environment.name"] != "test" || s.Attributes["service.version"] != "v1" || s.Attributes["service.instance.id"] != "here" {
				t.Errorf("the process is described by %v", s.Attributes)
			}
			want := "# HELP rangefleet_trace_spans_exported_total Spans that the collector took.\n# TYPE rangefleet_trace_spans_exported_total counter\nrangefleet_trace_spans_exported_total 3\n"
			if err := testutil.GatherAndCompare(p.metrics, strings.NewReader(want), "rangefleet_trace_spans_exported_total"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A collector that refuses connections, or takes them and never answers, delays nobody, not even
// the end of the process. Lost spans are counted, and the log tells it once.
func TestABadCollectorCostsSpansOnly(t *testing.T) {
	const waiting, all = 8, 100
	for _, protocol := range protocols {
		for _, kind := range []string{"refuses", "hangs"} {
			t.Run(kind+" "+protocol, func(t *testing.T) {
				l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // a connection is made, and nobody answers
				expect.NoError(t, err)
				defer l.Close() //nolint:errcheck // of a test
				if kind == "refuses" {
					expect.NoError(t, l.Close())
				}
				p, err := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+l.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol,
					fmt.Sprintf("OTEL_BSP_MAX_QUEUE_SIZE=%d", waiting), "OTEL_EXPORTER_OTLP_TIMEOUT=100", "OTEL_BSP_EXPORT_TIMEOUT=200", "OTEL_BSP_SCHEDULE_DELAY=20")
				expect.NoError(t, err)
				p.spans(all)
				lost := func() float64 { return p.dropped(t, "queue_full") + p.dropped(t, "export_failed") }
				expect.Eventually(t, "all spans are counted as lost", func() bool { return lost() == all })
				if p.dropped(t, "export_failed") == 0 {
					t.Error("no export has failed")
				}
				p.spans(1)
				expect.Eventually(t, "the next span is lost, too", func() bool { return lost() == all+1 })
				_ = p.Close(t.Context()) // returns
				if n := strings.Count(p.log.String(), "level=WARN msg=\"the collector takes no traces\""); n != 1 {
					t.Errorf("%d lines tell it, want 1:\n%s", n, p.log.String())
				}
			})
		}
	}
}

// A slow collector gets what fits into the queue, and the rest is dropped and counted.
func TestASlowCollector(t *testing.T) {
	const waiting, all = 8, 100
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			answer := make(chan struct{})
			c := otlptest.Start(t, func(ctx context.Context) {
				select {
				case <-answer:
				case <-ctx.Done():
				}
			})
			p, err := open(t, append(c.Environment(protocol), fmt.Sprintf("OTEL_BSP_MAX_QUEUE_SIZE=%d", waiting), "OTEL_BSP_SCHEDULE_DELAY=20")...)
			expect.NoError(t, err)
			p.spans(all)
			if got := p.dropped(t, "queue_full"); got != all-waiting {
				t.Errorf("%v spans are dropped, want %d", got, all-waiting)
			}
			close(answer)
			expect.NoError(t, p.Close(t.Context()))
			if got := len(c.Spans()); got != waiting {
				t.Errorf("%d spans arrived, want %d", got, waiting)
			}
			if got := p.dropped(t, "export_failed"); got != 0 {
				t.Errorf("%v spans count as failed", got)
			}
		})
	}
}

// An import is recorded as a whole or not at all: its first span is chosen, and the others follow.
func TestAllOfAnImportFollowItsFirstSpan(t *testing.T) {
	c := otlptest.Start(t, nil)
	p, err := open(t, append(c.Environment("grpc"), "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.5")...)
	expect.NoError(t, err)
	tracer, recorded := p.Tracer("test"), 0
	for range 64 {
		ctx, root := tracer.Start(t.Context(), "request")
		root.End()
		here := tracing.Here(ctx)
		if root.SpanContext().IsSampled() {
			recorded++
		}
		expect.NoError(t, tracing.Step(here.In(t.Context()), tracer, "step", func() error { return nil }))
		link := tracing.Import(here)
		if here.ID() == "" { // as a process that does not ask would make one
			link.SpanContext = root.SpanContext()
		}
		_, partition := tracer.Start(context.Background(), "partition", trace.WithLinks(link))
		partition.End()
		if partition.SpanContext().IsSampled() != root.SpanContext().IsSampled() {
			t.Error("a partition is not recorded as its import is")
		}
	}
	expect.NoError(t, p.Close(t.Context()))
	if recorded == 0 || recorded == 64 {
		t.Errorf("%d of 64 imports are recorded by a sampler of 0.5", recorded)
	}
	if got := len(c.Spans()); got != 3*recorded {
		t.Errorf("%d spans arrived of %d imports that are recorded, want 3 each", got, recorded)
	}
}

// Nobody else than an operator chooses what is recorded: the flag of a caller does not.
func TestACallersFlagIsNotFollowed(t *testing.T) {
	c := otlptest.Start(t, nil)
	p, err := open(t, append(c.Environment("grpc"), "OTEL_TRACES_SAMPLER=always_off")...)
	expect.NoError(t, err)
	caller := tracing.Caller(tracing.Place{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	_, span := p.Tracer("test").Start(context.Background(), "request", trace.WithLinks(caller))
	if span.SpanContext().IsSampled() {
		t.Error("a caller had a span recorded")
	}
	span.End()
	expect.NoError(t, p.Close(t.Context()))
}

// While tracing is off, spans are not even made.
func TestOff(t *testing.T) {
	c := otlptest.Start(t, nil)
	for name, environment := range map[string][]string{
		"no endpoint": nil,
		"disabled":    append(c.Environment("grpc"), "OTEL_SDK_DISABLED=TRUE"),
		"none":        append(c.Environment("grpc"), "OTEL_TRACES_EXPORTER=none"),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := open(t, environment...)
			expect.NoError(t, err)
			tracer, step := tracing.Tracer(p), func() error { return nil }
			if n := testing.AllocsPerRun(100, func() { _ = tracing.Step(t.Context(), tracer, "step", step) }); n != 0 {
				t.Errorf("a step allocates %v times", n)
			}
			p.spans(1)
			expect.NoError(t, p.Close(t.Context()))
			if n := len(c.Spans()); n != 0 {
				t.Errorf("%d spans arrived", n)
			}
		})
	}
}

// A variable that has no valid value is named, and the values of headers are not shown.
func TestBadVariables(t *testing.T) {
	for _, tc := range []struct{ variable, value, want string }{
		{"OTEL_TRACES_EXPORTER", "zipkin", `"zipkin" is neither otlp nor none`},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", `"http/json" is neither grpc nor http/protobuf`},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp", `"udp" is neither`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", `"collector:4317" is not a URL`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:secret-of-mine@c", `"ftp://******@c" is not a URL`},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", `"http://" is not a URL`},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=b,authorization=secret-of-mine%zz", "header 2 is not name=value"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "secret-of-mine", "header 1 is not name=value"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a b=secret-of-mine", "header 1 is not name=value"},
		{"OTEL_TRACES_SAMPLER", "often", `"often" is none of`},
		{"OTEL_TRACES_SAMPLER_ARG", "1.5", `"1.5" is not a number from 0 to 1`},
		{"OTEL_TRACES_SAMPLER_ARG", "NaN", `"NaN" is not a number from 0 to 1`},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "0", `"0" is not a number from 1 to 65536`},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many", `"many" is not a number`},
		{"OTEL_BSP_SCHEDULE_DELAY", "-1", `"-1" is not a number`},
	} {
		t.Run(tc.variable+" "+tc.value, func(t *testing.T) {
			environment := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318", "OTEL_TRACES_SAMPLER=traceidratio", tc.variable + "=" + tc.value}
			_, err := open(t, environment...)
			if err == nil || !strings.Contains(err.Error(), "set up tracing: "+tc.variable+": ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret-of-mine") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// The root of a trace is sent at once: a process that is killed must not take along what others
// refer to.
func TestRootsDoNotWait(t *testing.T) {
	c := otlptest.Start(t, nil)
	p, err := open(t, append(c.Environment("grpc"), "OTEL_BSP_SCHEDULE_DELAY=600000")...)
	expect.NoError(t, err)
	for n := range 3 {
		p.spans(1)
		expect.Eventually(t, "the root arrives", func() bool { return len(c.Spans()) == n+1 })
	}
	expect.NoError(t, p.Close(t.Context()))
}
