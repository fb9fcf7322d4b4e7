package node_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/otlptest"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// callersTrace is the trace of whoever asks for an import.
const callersTrace = "0af7651916cd43dd8448eb211c80319c"

// tracedImport is what a status says of an import that was traced.
type tracedImport struct {
	ID          string `json:"id"`
	TraceID     string `json:"trace_id"`
	Completed   bool
	Error       any
	MetarangeID string `json:"metarange_id"`
	Ranges      int
}

// objects are the names of n objects.
func objects(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("object-%04d", i))
	}
	return names
}

// importTraced imports objects by a coordinator that sends its spans to c, and has ended. It also
// returns the log.
func importTraced(t *testing.T, c *otlptest.Collector, names ...string) (status tracedImport, log string) {
	t.Helper()
	p, status := startTraced(t, c, names...)
	expect.Eventually(t, "the span of the import arrives", func() bool { return len(c.Named("import")) > 0 })
	p.end() // which sends the last spans
	basic := base64.StdEncoding.EncodeToString([]byte("AKIATRACE:" + secretsOfTraced[0]))
	for _, secret := range append(secretsOfTraced, basic) {
		if bytes.Contains(c.Bytes(), []byte(secret)) {
			t.Errorf("the collector was told %q", secret)
		}
	}
	if !bytes.Contains(c.Bytes(), []byte(status.ID)) {
		t.Errorf("the collector was not told of import %s", status.ID)
	}
	return status, p.log.String()
}

// secretsOfTraced are the secrets of the process of startTraced: of its key, of the store, and of the
// collector.
var secretsOfTraced = []string{"a secret of this test", "a secret of the store", "a secret of the collector"}

// startTraced imports objects by a coordinator that sends its spans to c, and returns the status with
// which the import ended.
func startTraced(t *testing.T, c *otlptest.Collector, names ...string) (p *process, status tracedImport) {
	t.Helper()
	dir := t.TempDir()
	lake := filepath.Join(dir, "lake")
	expect.NoError(t, os.Mkdir(lake, 0o700))
	for _, name := range names {
		file := filepath.Join(lake, name)
		expect.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		expect.NoError(t, os.WriteFile(file, nil, 0o600))
	}
	for _, e := range c.Environment("http/protobuf") {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	s := config(filepath.Join(dir, "nats"))
	s.Local.Allowed = []string{dir}
	s.Auth = settings.Auth{AccessKeyID: "AKIATRACE", SecretAccessKey: settings.NewSecret(secretsOfTraced[0])}
	s.S3.SecretAccessKey = settings.NewSecret(secretsOfTraced[1])
	canary.Plant(secretsOfTraced...)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization="+url.PathEscape(secretsOfTraced[2]))
	s.Ranges.Raggedness = 10
	p = start(t, node.Coordinator, s)
	p.header = http.Header{"Traceparent": {"00-" + callersTrace + "-b7ad6b7169203331-01"}}
	do := func(method, path, body string) (answer tracedImport) {
		t.Helper()
		code, text := p.ask(method, "/api/v1/repositories"+path, "AKIATRACE", secretsOfTraced[0], body)
		if code >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, code, text)
		}
		expect.NoError(t, json.Unmarshal([]byte(text), &answer))
		return answer
	}
	do("POST", "", fmt.Sprintf(`{"name": "repo", "storage_namespace": "local://%s"}`, filepath.Join(dir, "namespace")))
	const branch = "/repo/branches/main/import"
	id := do("POST", branch, fmt.Sprintf(`{"paths": [{"type": "common_prefix", "path": "local://%s/", "destination": "d"}], "commit": {"message": "m"}}`, lake)).ID
	status = do("GET", branch+"?id="+id, "")
	for !status.Completed && status.Error == nil {
		status = do("GET", branch+"?id="+id, "")
	}
	status.ID = id
	return p, status
}

// One import is one picture: a trace from its request to its commit, and traces of its partitions
// with links to it. The trace of the caller is linked, too, and not joined.
func TestAnImportIsOneTrace(t *testing.T) {
	c := otlptest.Start(t, nil)
	status, log := importTraced(t, c, objects(40)...)
	if problems := c.Loose(status.TraceID); len(problems) > 0 || status.TraceID == "" {
		t.Errorf("trace %q: %s", status.TraceID, strings.Join(problems, "\n"))
	}
	want := []string{
		"client receive WORK", "consumer process WORK",
		"internal commit", "internal import", "internal move branch", "internal plan", "internal read tree", "internal wait for the branch", "internal write metarange", "internal write range",
		"producer send WORK", "server POST /api/v1/repositories/{repository}/branches/{branch}/import",
	}
	if got := kindsOfSpans(c); !slices.Equal(got, want) {
		t.Errorf("the spans are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, s := range c.Spans() {
		if s.Attributes["rangefleet.import.id"] == "" && s.Name != "write range" || s.Service != "rangefleet-coordinator" {
			t.Errorf("a span is described by %v", s.Attributes)
		}
	}
	request := c.Named("POST /api/v1/repositories/{repository}/branches/{branch}/import")[0]
	if got := request.LinkedTo("caller"); !slices.Equal(got, []string{callersTrace}) || request.Trace == callersTrace {
		t.Errorf("the request, of trace %s, has links to the callers %q, want %s", request.Trace, got, callersTrace)
	}
	if got := len(c.Named("write range")); got != status.Ranges || got < 2 {
		t.Errorf("%d spans of ranges, want %d", got, status.Ranges)
	}
	describes(t, c.Named("import")[0], map[string]string{
		"rangefleet.metarange.id": status.MetarangeID, "rangefleet.keys": "40", "rangefleet.import.state": "completed",
	})
	pages := 0
	for _, partition := range c.Named("process WORK") {
		pages += partition.Events
		describes(t, partition, map[string]string{
			"messaging.system": "nats", "messaging.operation.type": "process", "messaging.destination.name": "WORK", "rangefleet.partition.outcome": "done",
		})
	}
	if pages == 0 {
		t.Error("no page is an event of a partition")
	}
	linesNameTrace(t, log, status, "import accepted", "import planned", "import listed", "import ended")
}

// linesNameTrace checks that each line about an import names its trace, and that there is one of each
// of the events.
func linesNameTrace(t *testing.T, log string, status tracedImport, events ...string) {
	t.Helper()
	about := ""
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "import_id="+status.ID) {
			continue
		}
		about += line
		if !strings.Contains(line, "trace_id="+status.TraceID) {
			t.Errorf("a line does not name the trace: %s", line)
		}
	}
	for _, event := range events {
		if !strings.Contains(about, fmt.Sprintf("msg=%q", event)) {
			t.Errorf("no line says %q:\n%s", event, about)
		}
	}
}

// Lines of a worker name the trace, too.
func TestLinesOfAFailedImportNameItsTrace(t *testing.T) {
	c := otlptest.Start(t, nil)
	status, log := importTraced(t, c, append(objects(2500), "z/unfit-\xff")...) // behind the first page, which the coordinator lists
	linesNameTrace(t, log, status, "import accepted", "import planned", "import fails", "import ended")
}

// A collector that never answers delays no import, and not the end of the process. What it loses is
// counted.
func TestAHangingCollectorDelaysNoImport(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
	c := otlptest.Start(t, func(ctx context.Context) { <-ctx.Done() })
	p, status := startTraced(t, c, objects(40)...)
	if !status.Completed {
		t.Errorf("the import has ended with %+v", status)
	}
	expect.Eventually(t, "spans are dropped", func() bool {
		_, metrics := p.ask("GET", "/metrics", "", "", "")
		return !strings.Contains(metrics, `rangefleet_trace_spans_dropped_total{fleet="test",reason="queue_full"} 0`+"\n")
	})
	p.end()
}

// Histograms refer to the trace of an import, but for that of LISTs, where it would cost something.
func TestHistogramsNameTheTrace(t *testing.T) {
	p, status := startTraced(t, otlptest.Start(t, nil), objects(40)...)
	defer p.end()
	p.header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	missing := func(metrics string) (names []string) {
		for _, name := range []string{
			`import_duration_seconds_bucket`, `import_step_duration_seconds_bucket{fleet="test",step="plan"`,
			`import_step_duration_seconds_bucket{fleet="test",step="list"`, `import_step_duration_seconds_bucket{fleet="test",step="commit"`,
			`worker_delivery_duration_seconds_bucket`, `objectstore_request_duration_seconds_bucket{fleet="test",operation="put"`,
		} {
			if !exemplified(metrics, "rangefleet_"+name, status.TraceID) {
				names = append(names, name)
			}
		}
		return names
	}
	var metrics string
	expect.Eventually(t, "all histograms name the trace", func() bool {
		_, metrics = p.ask("GET", "/metrics", "", "", "")
		return len(missing(metrics)) == 0
	})
	if exemplified(metrics, `rangefleet_objectstore_request_duration_seconds_bucket{fleet="test",operation="list"`, "") {
		t.Error("a LIST names its trace")
	}
}

// exemplified reports whether a series of the name has an exemplar of the trace; "" is any.
func exemplified(metrics, series, trace string) bool {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, series) && strings.Contains(line, `# {trace_id="`+trace) {
			return true
		}
	}
	return false
}

// kindsOfSpans returns the kinds and names of all spans, sorted, each once.
func kindsOfSpans(c *otlptest.Collector) (names []string) {
	for _, s := range c.Spans() {
		names = append(names, s.Kind+" "+s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// describes checks that a span has these attributes, among others.
func describes(t *testing.T, s otlptest.Span, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := s.Attributes[name]; got != value {
			t.Errorf("the attribute %s of the span %q is %q, want %q", name, s.Name, got, value)
		}
	}
}
