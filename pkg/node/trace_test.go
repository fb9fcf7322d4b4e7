package node_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/otlptest"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// One import is one picture: a trace from its request to its commit, and traces of its partitions
// with links to it. The trace of the caller is linked, too, and not joined.
func TestAnImportIsOneTrace(t *testing.T) {
	dir := t.TempDir()
	lake := filepath.Join(dir, "lake")
	expect.NoError(t, os.Mkdir(lake, 0o700))
	for i := range 40 {
		expect.NoError(t, os.WriteFile(filepath.Join(lake, fmt.Sprintf("object-%02d", i)), nil, 0o600))
	}
	c := otlptest.Start(t, nil)
	for _, e := range c.Environment("http/protobuf") {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	s := config(filepath.Join(dir, "nats"))
	s.Local.Allowed = []string{dir}
	s.Auth = settings.Auth{AccessKeyID: "AKIATRACE", SecretAccessKey: settings.NewSecret("a secret of this test")}
	s.Ranges.Raggedness = 10
	p := start(t, node.Coordinator, s)
	do := func(method, path, body string) (answer struct {
		ID          string `json:"id"`
		TraceID     string `json:"trace_id"`
		Completed   bool
		MetarangeID string `json:"metarange_id"`
		Ranges      int
	}) {
		t.Helper()
		code, text := p.ask(method, "/api/v1/repositories"+path, "AKIATRACE", "a secret of this test", body)
		if code >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, code, text)
		}
		expect.NoError(t, json.Unmarshal([]byte(text), &answer))
		return answer
	}
	do("POST", "", fmt.Sprintf(`{"name": "repo", "storage_namespace": "local://%s"}`, filepath.Join(dir, "namespace")))
	const branch = "/repo/branches/main/import"
	id := do("POST", branch, fmt.Sprintf(`{"paths": [{"type": "common_prefix", "path": "local://%s/", "destination": "d"}], "commit": {"message": "m"}}`, lake)).ID
	status := do("GET", branch+"?id="+id, "")
	for !status.Completed {
		status = do("GET", branch+"?id="+id, "")
	}
	expect.Eventually(t, "the span of the import arrives", func() bool { return len(c.Named("import")) > 0 })
	p.end() // which sends the last spans
	if problems := c.Loose(status.TraceID); len(problems) > 0 || status.TraceID == "" {
		t.Errorf("trace %q: %s", status.TraceID, strings.Join(problems, "\n"))
	}
	var names []string
	for _, s := range c.Spans() {
		names = append(names, s.Kind+" "+s.Name)
		if s.Attributes["rangefleet.import.id"] == "" && s.Name != "write range" || s.Service != "rangefleet-coordinator" {
			t.Errorf("a span is described by %v", s.Attributes)
		}
	}
	slices.Sort(names)
	want := []string{
		"client receive WORK", "consumer process WORK",
		"internal commit", "internal import", "internal move branch", "internal plan", "internal read tree", "internal wait for the branch", "internal write metarange", "internal write range",
		"producer send WORK", "server POST /api/v1/repositories/{repository}/branches/{branch}/import",
	}
	if got := slices.Compact(names); !slices.Equal(got, want) {
		t.Errorf("the spans are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := len(c.Named("write range")); got != status.Ranges || got < 2 {
		t.Errorf("%d spans of ranges, want %d", got, status.Ranges)
	}
	whole := c.Named("import")[0]
	if a := whole.Attributes; a["rangefleet.metarange.id"] != status.MetarangeID || a["rangefleet.keys"] != "40" || a["rangefleet.import.state"] != "completed" {
		t.Errorf("the import is described by %v", a)
	}
	pages := 0
	for _, partition := range c.Named("process WORK") {
		pages += partition.Events
		if a := partition.Attributes; a["messaging.system"] != "nats" || a["messaging.operation.type"] != "process" || a["messaging.destination.name"] != "WORK" || a["rangefleet.partition.outcome"] != "done" {
			t.Errorf("a partition is described by %v", a)
		}
	}
	if pages == 0 {
		t.Error("no page is an event of a partition")
	}
}
