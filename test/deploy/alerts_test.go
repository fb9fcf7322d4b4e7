package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// rules are the alerts in deploy/.
type rules struct{ Groups []ruleGroup }

type ruleGroup struct {
	Name  string
	Rules []alert
}

type alert struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      map[string]string
}

func alerts(t *testing.T) rules {
	t.Helper()
	var r rules
	if err := yaml.UnmarshalStrict(read(t, "prometheus/alerts.yml"), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// all returns the alerts of all groups.
func (r rules) all() (all []alert) {
	for _, g := range r.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// Each alert fires when it should, and not before; those of a fleet do not depend on others.
func TestAlerts(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", filepath.Join(deployed, "prometheus/alerts.yml")},
		{"test", "rules", "testdata/alerts.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), prometheusProgram(t, "promtool"), args...)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, text)
		}
	}
	tests, err := os.ReadFile("testdata/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t).all() {
		if !strings.Contains(string(tests), `alertname="`+a.Alert+`"`) {
			t.Errorf("no test makes %s fire", a.Alert)
		}
	}
}

// The alerts keep the rules of the usual linters, and name metrics that there are.
func TestAlertsAreWellFormed(t *testing.T) {
	known := documented(t)
	for _, fault := range alerts(t).faults(known) {
		t.Error(fault)
	}
}

const runbooks = "https://github.com/rangefleet/rangefleet/blob/main/docs/runbooks/"

var (
	camelCase = regexp.MustCompile(`^([A-Z]+[a-z0-9]+)+$`)
	sentence  = regexp.MustCompile(`^[A-Z][^{}]*\.$`)
)

// Bounds of the rules for alerts.
const (
	longestName = 40
	mostRules   = 20 // of a group
)

// faults returns what is wrong with alerts. known are the metrics that there are.
func (r rules) faults(known map[string]bool) (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, g := range r.Groups {
		if g.Name == "" || len(g.Name) > longestName || len(g.Rules) > mostRules {
			say("the group %q has a long name, none, or %d rules", g.Name, len(g.Rules))
		}
	}
	seen := map[string]bool{}
	for _, a := range r.all() {
		if seen[a.Alert] {
			say("%s is there twice", a.Alert)
		}
		seen[a.Alert] = true
		a.faults(known, func(format string, args ...any) { say("%s: "+format, append([]any{a.Alert}, args...)...) })
	}
	return faults
}

func (a alert) faults(known map[string]bool, say sayFunc) {
	if !camelCase.MatchString(a.Alert) || len(a.Alert) > longestName || !strings.HasPrefix(a.Alert, "Rangefleet") {
		say("its name is too long or not in CamelCase, or does not begin with Rangefleet")
	}
	if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
		say("its severity is %q", a.Labels["severity"])
	}
	if !sentence.MatchString(a.Annotations["summary"]) {
		say("its summary %q is not one sentence without templates", a.Annotations["summary"])
	}
	if d := a.Annotations["description"]; !strings.Contains(d, "$labels.fleet") {
		say("its description %q does not name the fleet", d)
	}
	if a.Annotations["runbook_url"] != runbooks+a.Alert+".md" {
		say("its runbook is %q", a.Annotations["runbook_url"])
	}
	expr, err := parse1(a.Expr)
	if err != nil {
		say("%v", err)
		return
	}
	for _, name := range metricsOf(expr) {
		if !known[family(name)] {
			say("there is no metric %s", name)
		}
	}
}

// family returns the name of the metric to which a series belongs. A histogram has three.
func family(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(short, "_seconds") {
			return short
		}
	}
	return name
}

// The checks of the alerts find typical mistakes.
func TestFaultsOfAlertsAreFound(t *testing.T) {
	known, text := documented(t), string(read(t, "prometheus/alerts.yml"))
	for _, tc := range []struct{ name, from, to, words string }{
		{"name", "alert: RangefleetImportSlow", "alert: Rangefleet_ImportSlow", "not in CamelCase"},
		{"long name", "alert: RangefleetImportSlow", "alert: RangefleetImportIsFarTooSlowForWhatItDoes", "too long"},
		{"prefix", "alert: RangefleetImportSlow", "alert: ImportSlow", "does not begin"},
		{"twice", "alert: RangefleetImportSlow", "alert: RangefleetImportStalled", "is there twice"},
		{"severity", "severity: info", "severity: page", "its severity is"},
		{"summary", "summary: Imports fail.", "summary: Imports fail", "its summary"},
		{"templated summary", "summary: Imports fail.", `summary: "Imports of {{ $labels.fleet }} fail."`, "its summary"},
		{"static description", "The slowest calls of the fleet {{ $labels.fleet }}", "The slowest calls of the fleet", "does not name the fleet"},
		{"runbook", "runbooks/RangefleetImportSlow.md", "runbooks/RangefleetImport.md", "its runbook is"},
		{"query", "sum by (fleet) (increase(rangefleet_imports_finished_total", "sum by (fleet) (increase((rangefleet_imports_finished_total", "unclosed left parenthesis"},
		{"metric", "rangefleet_nats_connected == 0", "rangefleet_queue_connected == 0", "no metric rangefleet_queue_connected"},
	} {
		changed := strings.Replace(text, tc.from, tc.to, 1)
		if changed == text {
			t.Errorf("%s: the alerts have no %q", tc.name, tc.from)
			continue
		}
		var r rules
		if err := yaml.Unmarshal([]byte(changed), &r); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.faults(known), "\n"); !strings.Contains(got, tc.words) {
			t.Errorf("%s: faults %q, want one of %q", tc.name, got, tc.words)
		}
	}
}

var metricRow = regexp.MustCompile("(?m)^\\| `(rangefleet_\\w+)` \\|")

// foreign are metrics that are not Rangefleet's own, and are everywhere.
var foreign = []string{
	"up", "ALERTS", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds",
	"go_goroutines", "go_gc_duration_seconds",
}

// documented returns the metrics that docs/metrics.md lists, and foreign ones.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, m := range metricRow.FindAllStringSubmatch(string(document(t, "metrics.md")), -1) {
		known[m[1]] = true
	}
	if len(known) < 50 {
		t.Fatalf("docs/metrics.md has %d metrics", len(known))
	}
	for _, name := range foreign {
		known[name] = true
	}
	return known
}

// document returns a file of docs/.
func document(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// notShown are metrics that are on no board, and why.
var notShown = map[string]string{
	"rangefleet_imports_forgotten_total": "it counts what is cleaned up a day later, and harms nobody",
}

// Every metric is on a board, and every metric on a board exists.
func TestBoardsShowEveryMetric(t *testing.T) {
	known, shown := documented(t), map[string]bool{}
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				expr, err := parse1(q.Expr)
				if err != nil {
					t.Fatalf("%s: %v", q.Expr, err)
				}
				for _, name := range metricsOf(expr) {
					if shown[family(name)] = true; !known[family(name)] {
						t.Errorf("%s: %s shows %s, which does not exist", b.UID, p.Title, name)
					}
				}
			}
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "rangefleet_") && shown[name] == (notShown[name] != "") {
			t.Errorf("%s is on a board: %t, and has a reason not to be: %q", name, shown[name], notShown[name])
		}
	}
	for name := range notShown {
		if !known[name] {
			t.Errorf("%s is excused and does not exist", name)
		}
	}
}
