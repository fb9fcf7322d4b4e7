package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// scrape is a job of the scrape configuration, which scrapes all addresses of a name.
type scrape struct {
	job  string
	name string
	port int32
}

// scrapes returns the jobs of the scrape configuration.
func scrapes(t *testing.T) (found []scrape) {
	t.Helper()
	var config struct {
		Scrapes []struct {
			Job string `json:"job_name"`
			DNS []struct {
				Names []string
				Port  int32
			} `json:"dns_sd_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal(read(t, "prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Scrapes {
		for _, d := range s.DNS {
			found = append(found, scrape{s.Job, d.Names[0], d.Port})
		}
	}
	if len(found) != 2 {
		t.Fatalf("%d jobs, want one for coordinators and one for workers", len(found))
	}
	return found
}

// prometheusProgram returns the path of prometheus or promtool. It installs both if they are
// missing, which needs root on Debian or Ubuntu.
func prometheusProgram(t *testing.T, name string) string {
	t.Helper()
	program, err := exec.LookPath(name)
	if err == nil {
		return program
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", "apt-get update -qq && apt-get install -qq -y --no-install-recommends prometheus")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install Prometheus: %v\n%s", err, text)
	}
	if program, err = exec.LookPath(name); err != nil {
		t.Fatal(err)
	}
	return program
}

func TestScrapeConfiguration(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), prometheusProgram(t, "promtool"), "check", "config", filepath.Join(deployed, "prometheus/prometheus.yml"))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// Each alert fires when it should, and not before, and names a paragraph of the documentation.
func TestAlerts(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), prometheusProgram(t, "promtool"), "test", "rules", "testdata/alerts.yml")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	docs, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Paragraph string }
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "prometheus/alerts.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Groups[0].Rules {
		p := r.Annotations.Paragraph
		if !strings.Contains(string(docs), "\n**"+p+"**") && !strings.Contains(string(docs), "\n### "+p+"\n") {
			t.Errorf("%s: docs/operating.md has no paragraph %q", r.Alert, p)
		}
		for _, name := range regexp.MustCompile(`rangefleet_\w+`).FindAllString(r.Expr, -1) {
			if !strings.Contains(string(metrics), "| `"+strings.TrimSuffix(name, "_count")+"` |") {
				t.Errorf("%s: there is no metric %s", r.Alert, name)
			}
		}
	}
}

// prometheus is a server that scrapes a fleet each second.
type prometheus struct{ url string }

// startPrometheus starts a Prometheus with the scrape configuration of deploy/. resolve returns
// the addresses that replace a name.
func startPrometheus(t *testing.T, resolve func(name string, port int32) []string) *prometheus {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal(read(t, "prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	config["global"].(map[string]any)["scrape_interval"] = "1s"
	delete(config, "rule_files")
	for i, s := range scrapes(t) {
		job := config["scrape_configs"].([]any)[i].(map[string]any)
		delete(job, "dns_sd_configs")
		job["static_configs"] = []any{map[string]any{"targets": resolve(s.name, s.port)}}
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	address, program := freeAddress(t), prometheusProgram(t, "prometheus")
	start(t, func() *exec.Cmd {
		return exec.Command(program, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	})
	p := &prometheus{url: "http://" + address}
	serves(t, "prometheus ready", p.url+"/-/ready")
	return p
}

// greatest returns the greatest value that a query has had, or 0 if there was none. It ignores
// NaN, such as a quantile without observations.
func (p *prometheus) greatest(ctx context.Context, query string) (greatest float64, err error) {
	query = "max_over_time((" + query + ")[1h:1s])"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?"+url.Values{"query": {query}}.Encode(), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("query %s: %s", query, answer.Error)
	}
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err == nil && !math.IsNaN(v) {
			greatest = max(greatest, v)
		}
	}
	return greatest, nil
}

// panel is a graph of the dashboard.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ RefID, LegendFormat, Expr string }
}

// panels returns the graphs of the dashboard.
func panels(t *testing.T) []panel {
	t.Helper()
	var board struct{ Panels []panel }
	if err := json.Unmarshal(read(t, "grafana/rangefleet.json"), &board); err != nil {
		t.Fatal(err)
	}
	return board.Panels
}

// The IDs of panels are distinct, and panels do not overlap.
func TestPanelsDoNotOverlap(t *testing.T) {
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("%s: another panel has the ID %d, too", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s overlaps %s, or is outside of the grid", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}

// Each graph has a description and a unit, and queries only the chosen jobs.
func TestGraphsAreWellFormed(t *testing.T) {
	for _, p := range panels(t) {
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s lacks a title, a description, a unit, the data source or a query", p.Title)
		}
		for _, q := range p.Targets {
			if strings.Count(q.Expr, "{") != strings.Count(q.Expr, `job=~"$job"`) || q.LegendFormat == "" || q.RefID == "" {
				t.Errorf("%s: %s has no job, legend or ID", p.Title, q.Expr)
			}
		}
	}
}
