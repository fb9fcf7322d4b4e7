package deploy_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// board is a dashboard of Grafana, as far as the tests look at it.
type board struct {
	UID, Title, Description string
	Editable                bool
	Templating              struct{ List []variableOfBoard }
	Panels                  []panel
}

type variableOfBoard struct {
	Name, Type, Query string
	Refresh           int
	Multi, IncludeAll bool
	Datasource        struct{ UID string }
}

// panel is a headline, a stat or a graph.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []target
}

type target struct {
	RefID, LegendFormat, Expr string
	Datasource                struct{ UID string }
}

// boardNames are the boards, the one to begin with first.
var boardNames = []string{"rangefleet-overview", "rangefleet-import", "rangefleet-fleet"}

// boards returns the boards in deploy/.
func boards(t *testing.T) (all []board) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deployed, "grafana", "*.json"))
	if err != nil || len(files) != len(boardNames) {
		t.Fatalf("the boards are in the files %v, want one each of %v: %v", files, boardNames, err)
	}
	for _, name := range boardNames {
		var b board
		if err := json.Unmarshal(read(t, "grafana/"+name+".json"), &b); err != nil {
			t.Fatal(err)
		}
		if b.UID != name {
			t.Errorf("%s.json has the UID %s", name, b.UID)
		}
		all = append(all, b)
	}
	return all
}

// The files are those that the generator makes.
func TestBoardsAreCurrent(t *testing.T) {
	dir := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), "go", "run", "-C", filepath.Join(deployed, "grafana/boards"), ".", dir).CombinedOutput(); err != nil {
		t.Fatalf("make the boards: %v\n%s", err, text)
	}
	for _, name := range boardNames {
		cmd := exec.CommandContext(t.Context(), "diff", "-u", filepath.Join(deployed, "grafana", name+".json"), filepath.Join(dir, name+".json"))
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s is out of date, run make generate: %v\n%s", name, err, text)
		}
	}
}

// The boards keep the rules of the usual linters for dashboards.
func TestBoardsAreWellFormed(t *testing.T) {
	for _, b := range boards(t) {
		for _, fault := range b.faults() {
			t.Errorf("%s: %s", b.UID, fault)
		}
	}
}

// faults returns what is wrong with a board.
func (b board) faults() (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if b.UID == "" || b.Title == "" || b.Description == "" || b.Editable {
		say("it has no UID, title or description, or can be edited")
	}
	b.variableFaults(say)
	b.placeFaults(say)
	first := true
	for _, p := range b.Panels {
		if p.Type == "row" {
			first = true
			continue
		}
		if p.Type == "stat" && !first {
			say("%s: stats come first in a row", p.Title)
		}
		first = p.Type == "stat"
		p.faults(say)
	}
	if len(b.Panels) < 2 || b.Panels[1].Type != "stat" {
		say("it does not begin with a stat")
	}
	return faults
}

// variableFaults checks that the data source, fleet, job and instance can be chosen.
func (b board) variableFaults(say sayFunc) {
	variables := map[string]variableOfBoard{}
	for _, v := range b.Templating.List {
		variables[v.Name] = v
	}
	if v := variables["datasource"]; v.Type != "datasource" || v.Query != "prometheus" {
		say("the data source cannot be chosen")
	}
	for _, name := range []string{"fleet", "job", "instance"} {
		v := variables[name]
		if v.Type != "query" || v.Datasource.UID != "${datasource}" || v.Refresh != 2 || !v.Multi || !v.IncludeAll {
			say("%s cannot be chosen, or is not read again when the time changes", name)
		}
		selector, isValues := strings.CutPrefix(v.Query, "label_values(")
		selector, isLabel := strings.CutSuffix(selector, ", "+name+")")
		if _, err := parse1(selector); !isValues || !isLabel || err != nil {
			say("the variable %s has the query %q: %v", name, v.Query, err)
		}
	}
}

// placeFaults checks that panels do not overlap, and have numbers of their own.
func (b board) placeFaults(say sayFunc) {
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range b.Panels {
		if ids[p.ID] {
			say("%s: another panel has the ID %d, too", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					say("%s overlaps %s, or is outside of the grid", p.Title, other)
					return
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

func (p panel) faults(say sayFunc) {
	if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
		say("panel %d %q lacks a title, a description, a unit, the data source or a query", p.ID, p.Title)
	}
	ids := map[string]bool{}
	for _, q := range p.Targets {
		if q.LegendFormat == "" || q.RefID == "" || ids[q.RefID] || q.Datasource.UID != "${datasource}" {
			say("%s: %s has no legend or data source, or no ID of its own", p.Title, q.Expr)
		}
		ids[q.RefID] = true
		expr, err := parse1(q.Expr)
		if err != nil {
			say("%s: %s: %v", p.Title, q.Expr, err)
			continue
		}
		queryFaults(expr, func(format string, args ...any) { say("%s: %s: "+format, append([]any{p.Title, q.Expr}, args...)...) })
	}
}

// parse1 parses an expression with the variables of Grafana.
func parse1(expr string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", rateInterval))
}

// rateInterval stands for $__rate_interval. Nobody else would choose it.
const rateInterval = "4m1s"

// choices are the matchers that every selector of a board has.
var choices = map[string]string{"fleet": "$fleet", "job": "$job", "instance": "$instance"}

// withoutChoices are metrics whose series have no job and instance, and why.
var withoutChoices = map[string]string{"ALERTS": "Prometheus makes it of the alerts"}

// queryFaults checks the selectors of a query of a board.
func queryFaults(expr parser.Expr, say sayFunc) {
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if withoutChoices[n.Name] == "" {
				choiceFaults(n, say)
			}
			if inRate := slices.ContainsFunc(path, isRate); inRate != isCounter(n.Name) {
				say("%s is a counter: %t, and in rate() or increase(): %t", n.Name, isCounter(n.Name), inRate)
			}
		case *parser.MatrixSelector:
			if n.Range.String() != rateInterval {
				say("the range is %s, want $__rate_interval", n.Range)
			}
		}
		return nil
	})
}

func choiceFaults(n *parser.VectorSelector, say sayFunc) {
	for label, variable := range choices {
		if !slices.ContainsFunc(n.LabelMatchers, func(m *labels.Matcher) bool {
			return m.Name == label && m.Type == labels.MatchRegexp && m.Value == variable
		}) {
			say("%s lacks the matcher of %s", n.Name, label)
		}
	}
}

func isRate(node parser.Node) bool {
	call, ok := node.(*parser.Call)
	return ok && slices.Contains([]string{"rate", "irate", "increase"}, call.Func.Name)
}

// isCounter reports whether a metric counts, by its name.
func isCounter(name string) bool {
	return slices.ContainsFunc([]string{"_total", "_count", "_sum", "_bucket"}, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// metricsOf returns the names of the metrics in an expression.
func metricsOf(expr parser.Expr) (names []string) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.VectorSelector); ok {
			names = append(names, n.Name)
		}
		return nil
	})
	return names
}

// The checks of the boards find typical mistakes.
func TestFaultsOfBoardsAreFound(t *testing.T) {
	text := string(read(t, "grafana/rangefleet-overview.json"))
	for _, tc := range []struct{ name, from, to, words string }{
		{"editable", `"editable": false`, `"editable": true`, "can be edited"},
		{"no UID", `"uid": "rangefleet-overview"`, `"uid": ""`, "no UID"},
		{"no data source", `"type": "datasource"`, `"type": "custom"`, "data source"},
		{"old values", `"refresh": 2`, `"refresh": 1`, "fleet cannot be chosen"},
		{"wrong values", `"query": "label_values(rangefleet_build_info, fleet)"`, `"query": "label_values(rangefleet_build_info{, fleet)"`, "variable fleet"},
		{"no description", `"description": "Alerts that fire now. Each names its runbook."`, `"description": ""`, "lacks a title"},
		{"no unit", `"unit": "reqps"`, `"unit": ""`, "a unit"},
		{"no legend", `"legendFormat": "waiting"`, `"legendFormat": ""`, "no legend"},
		{"invalid query", `"max(rangefleet_import_oldest`, `"max(max(rangefleet_import_oldest`, "unclosed left parenthesis"},
		{"other interval", `[$__rate_interval]`, `[5m]`, "want $__rate_interval"},
		{"all jobs", `{fleet=~\"$fleet\", job=~\"$job\", instance=~\"$instance\"`, `{fleet=~\"$fleet\", instance=~\"$instance\"`, "lacks the matcher of job"},
		{"counter without rate", `sum(increase(rangefleet_imports_started_total{fleet=~\"$fleet\", job=~\"$job\", instance=~\"$instance\"}[$__rate_interval]))`, `sum(rangefleet_imports_started_total)`, "is a counter: true"},
		{"rate of a gauge", `sum(rate(rangefleet_worker_objects_covered_total`, `sum(rate(rangefleet_worker_slots`, "is a counter: false"},
		{"stat after graph", "\"Imports started and ended\",\n   \"type\": \"timeseries\"", "\"Imports started and ended\",\n   \"type\": \"stat\"", "stats come first"},
		{"same ID", `"id": 3,`, `"id": 2,`, "has the ID 2, too"},
		{"overlap", `"y": 1`, `"y": 0`, "overlaps"},
	} {
		changed := strings.Replace(text, tc.from, tc.to, 1)
		if changed == text {
			t.Errorf("%s: the board has no %q", tc.name, tc.from)
			continue
		}
		var b board
		if err := json.Unmarshal([]byte(changed), &b); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.faults(), "\n"); !strings.Contains(got, tc.words) {
			t.Errorf("%s: faults %q, want one of %q", tc.name, got, tc.words)
		}
	}
}
