package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/otlptest"
)

// TestTraces imports with processes that send spans to one collector, and kills some of them with
// kill -9. What arrives is one connected picture all the same: the trace of the import, and the
// traces of its partitions with links to it.
func TestTraces(t *testing.T) {
	awkwardObjects(t)
	b := breaks{maxSize: 8 << 10, raggedness: 200}
	for _, tc := range []struct {
		name, protocol string
		disturb        func(t *testing.T, leader, heir *fleet, id string)
	}{
		{"undisturbed", "grpc", func(*testing.T, *fleet, *fleet, string) {}},
		{"a worker is killed", "grpc", func(t *testing.T, leader, _ *fleet, id string) {
			leader.waitFor("main", id, awkwardCount/4)
			expect.NoError(t, leader.workers[0].Restart())
		}},
		{"the driver is killed", "http/protobuf", func(_ *testing.T, leader, heir *fleet, id string) {
			heir.waitFor("main", id, awkwardCount/3)
			leader.coordinator.Kill()
		}},
		{"the driver and a worker are killed", "grpc", func(t *testing.T, leader, heir *fleet, id string) {
			heir.waitFor("main", id, awkwardCount/3)
			leader.coordinator.Kill()
			expect.NoError(t, leader.workers[1].Restart())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			collector := otlptest.Start(t, nil)
			leader := newFleet(t, b, shape{nats: 1, workers: 2}, append(collector.Environment(tc.protocol), "OTEL_BSP_SCHEDULE_DELAY=100")...)
			heir := leader.join()
			leader.repository("repo", awkwardBucket)
			id := leader.begin("repo", "main", awkwardSource, destination)
			tc.disturb(t, leader, heir, id)
			status := heir.finish("repo", "main", id)
			expect.Eventually(t, "the span of the whole import arrives", func() bool { return len(collector.Named("import")) > 0 })
			expect.Eventually(t, "the spans of partitions arrive", func() bool { return len(collector.Named("process WORK")) > 0 })
			if problems := collector.Loose(status.TraceID); len(problems) > 0 || status.TraceID == "" {
				t.Errorf("trace %q of %d spans: %s", status.TraceID, len(collector.Spans()), strings.Join(problems, "\n"))
			}
			for _, name := range []string{"plan", "read tree", "write metarange", "commit", "move branch"} {
				if !slices.ContainsFunc(collector.Named(name), func(s otlptest.Span) bool { return s.Trace == status.TraceID }) {
					t.Errorf("the trace of the import has no span %q", name)
				}
			}
			services := make(map[string]bool)
			for _, s := range collector.Spans() {
				services[s.Attributes["service.instance.id"]] = true
			}
			if len(services) < 3 {
				t.Errorf("spans came of %d processes, want 3", len(services))
			}
		})
	}
}
