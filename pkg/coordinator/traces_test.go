package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// root is the request of every import of the tests.
var root = tracedlog.Place()

// recorded has a service record spans, and its import, which belongs to the trace of root.
func recorded(t *testing.T, s *Service, f *fleet, id string) *tracetest.SpanRecorder {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	s.tracer = tracing.Tracer(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
		r.Trace = root
		return r, nil
	})
	expect.NoError(t, err)
	return recorder
}

// spanNames returns the names of the spans that have ended, each once, in the order in which they ended
// first. All of them must be children of root.
func spanNames(t *testing.T, recorder *tracetest.SpanRecorder) (all []string) {
	t.Helper()
	for _, s := range recorder.Ended() {
		if s.Parent().TraceID().String() != root.ID() || !s.Parent().IsRemote() {
			t.Errorf("the parent of %q is %v", s.Name(), s.Parent())
		}
		if !slices.Contains(all, s.Name()) {
			all = append(all, s.Name())
		}
	}
	return all
}

// An import that ends while the process is told to stop is counted and traced all the same: nobody
// else would do it.
func TestAnEndIsNotedThoughTheProcessStops(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	spans := recorded(t, l.mine, l.fleet, l.id)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l.steps.after = func(int) error {
		if l.fleet.record(l.id).State.Ended() {
			stop()
		}
		return nil
	}
	ended, err := l.driver(l.mine).step(ctx)
	if !ended || err != nil || ctx.Err() == nil {
		t.Fatalf("the step: %t, %v; stopped: %v", ended, err, ctx.Err())
	}
	if got := spanNames(t, spans); !slices.Contains(got, "import") {
		t.Errorf("the spans are %q", got)
	}
	if got := measured.Sum(t, l.mine.cfg.Registerer.(*prometheus.Registry), "rangefleet_imports_finished_total", "completed"); got != 1 {
		t.Errorf("%v imports count as completed", got)
	}
}

// The steps of a landing on a lakeFS server are spans of the import's trace.
func TestSpansOfALandingOnAServer(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	spans := recorded(t, i.service, i.fleet, i.id)
	i.ends(i.driver(i.service))
	want := []string{
		"wait for the branch", "read tree", "write metarange", "prepare tree", "record landing",
		"lakefs create branch", "lakefs commit", "lakefs authorize", "lakefs merge", "lakefs delete branch", "import",
	}
	if got := spanNames(t, spans); !slices.Equal(got, want) {
		t.Errorf("the spans are\n%q, want\n%q", got, want)
	}
	families, err := i.lakefs.metrics.Gather()
	expect.NoError(t, err)
	if text := fmt.Sprint(families); !strings.Contains(text, root.ID()) {
		t.Errorf("no metric of calls names the trace: %s", text)
	}
}
