package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// prometheus is a server that scrapes a fleet each second.
type prometheus struct{ url string }

// startPrometheus starts a Prometheus with the scrape configuration of deploy/ and these rules. resolve
// returns the addresses that replace a name. more are further addresses, with TLS.
func startPrometheus(t *testing.T, rules string, resolve func(name string, port int32) []string, more ...string) *prometheus {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal(read(t, "prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	config["global"] = map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"}
	for i, s := range scrapes(t) {
		job := config["scrape_configs"].([]any)[i].(map[string]any)
		delete(job, "dns_sd_configs")
		job["static_configs"] = []any{map[string]any{"targets": resolve(s.name, s.port)}}
	}
	if len(more) > 0 {
		config["scrape_configs"] = append(config["scrape_configs"].([]any), map[string]any{
			"job_name": "more", "scheme": "https", "tls_config": map[string]any{"insecure_skip_verify": true},
			"static_configs": []any{map[string]any{"targets": more}},
		})
	}
	dir := t.TempDir()
	config["rule_files"] = []string{filepath.Join(dir, "alerts.yml")}
	if err := os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
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

// greatest returns the greatest value that a query has had in twenty minutes, and whether it has had any. It ignores
// NaN, such as a quantile without observations.
func (p *prometheus) greatest(ctx context.Context, query string) (greatest float64, found bool, err error) {
	all, err := p.series(ctx, "query", url.Values{"query": {"max_over_time((" + query + ")[20m:1s])"}})
	if err != nil {
		return 0, false, fmt.Errorf("query %s: %w", query, err)
	}
	for _, s := range all {
		if v := s.Values[0][1]; !math.IsNaN(v) {
			greatest, found = max(greatest, v), true
		}
	}
	return greatest, found, nil
}

// series is a series with its times and values.
type series struct {
	Metric map[string]string
	Values [][2]float64
}

// series returns what Prometheus answers to query or query_range.
func (p *prometheus) series(ctx context.Context, path string, values url.Values) ([]series, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/"+path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, errors.New(answer.Error)
	}
	var all []series
	for _, r := range answer.Data.Result {
		s := series{Metric: r.Metric}
		if r.Values == nil {
			r.Values = [][2]any{r.Value}
		}
		for _, point := range r.Values {
			v, err := strconv.ParseFloat(fmt.Sprint(point[1]), 64)
			if err != nil {
				return nil, err
			}
			s.Values = append(s.Values, [2]float64{point[0].(float64), v})
		}
		all = append(all, s)
	}
	return all, nil
}
