package deploy_test

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

// compose reads the Compose file with the code of `docker compose`, which checks it against
// Compose's schema.
func compose(env ...string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(deployed, "compose.yaml")}, cli.WithEnv(env), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func TestCompose(t *testing.T) {
	if _, err := compose(); err == nil || !strings.Contains(err.Error(), "ACCESS_KEY_ID") {
		t.Errorf("without the keys of the API: error %v", err)
	}
	project, err := compose("ACCESS_KEY_ID=me", "SECRET_ACCESS_KEY=s3cr3t", "NATS_PASSWORD=n4ts", "NATS_WORKER_PASSWORD=w0rk", "S3_ENDPOINT=http://minio:9000", "S3_FORCE_PATH_STYLE=true")
	if err != nil {
		t.Fatal(err)
	}
	worker := project.Services["worker"]
	if workers := worker.GetScale(); workers < 2 {
		t.Errorf("%d workers, want several", workers)
	}
	i := builtImage(t)
	for name, s := range project.Services {
		if _, tag, ok := strings.Cut(s.Image, ":"); s.Build == nil && (!ok || tag == "latest") {
			t.Errorf("the image of %s has no fixed version: %s", name, s.Image)
		}
		for _, c := range s.Configs {
			if _, err := filepath.EvalSymlinks(project.Configs[c.Source].File); err != nil {
				t.Errorf("%s: config %s: %v", name, c.Source, err)
			}
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %d to other machines", name, p.Target)
			}
		}
		if s.Build != nil {
			runsWith(t, i, name, s)
		}
	}
}

// runsWith runs the program of a service with the service's environment. The program refuses
// unknown variables.
func runsWith(t *testing.T, i *image, name string, s types.ServiceConfig) {
	t.Helper()
	if s.Build.Dockerfile != filepath.Join(mustAbs(t, deployed), "Dockerfile") && s.Build.Dockerfile != "deploy/Dockerfile" {
		t.Errorf("%s is built from %s", name, s.Build.Dockerfile)
	}
	var env []string
	for k, v := range s.Environment.Resolve(func(string) (string, bool) { return "", false }) {
		env = append(env, k+"="+*v)
	}
	if text, err := i.run(append(slices.Clone([]string(s.Command)), "config", "print"), env...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
	if g := s.StopGracePeriod; g == nil || int(*g)/1e9 <= drainSeconds {
		t.Errorf("%s has a grace period of %v", name, g)
	}
}

func mustAbs(t *testing.T, p string) string {
	t.Helper()
	abs, err := filepath.Abs(p)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// The configurations of the services refer to each other correctly.
func TestComposeFitsTogether(t *testing.T) {
	project, err := compose("ACCESS_KEY_ID=me", "SECRET_ACCESS_KEY=s3cr3t", "NATS_PASSWORD=n4ts", "NATS_WORKER_PASSWORD=w0rk")
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{"coordinator": "RANGEFLEET_LISTEN", "worker": "RANGEFLEET_METRICS_LISTEN"}
	for _, s := range scrapes(t) {
		variable := ports[s.name]
		if env := project.Services[s.name].Environment[variable]; env == nil || *env != fmt.Sprintf(":%d", s.port) {
			t.Errorf("Prometheus scrapes %s at port %d, which is not its %s", s.name, s.port, variable)
		}
	}
	var source struct{ Datasources []struct{ URL string } }
	if err := yaml.Unmarshal(read(t, "grafana/datasource.yaml"), &source); err != nil {
		t.Fatal(err)
	}
	prometheus, err := url.Parse(source.Datasources[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := project.Services[prometheus.Hostname()]; !ok || fmt.Sprint(s.Ports[0].Target) != prometheus.Port() {
		t.Errorf("Grafana queries %s, which is not a service", prometheus)
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal(read(t, "grafana/dashboards.yaml"), &providers); err != nil {
		t.Fatal(err)
	}
	grafana := project.Services["grafana"]
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	for i, name := range boardNames {
		target := path.Join(providers.Providers[0].Options.Path, name+".json")
		at := slices.IndexFunc(grafana.Configs, func(c types.ServiceConfigObjConfig) bool { return c.Target == target })
		if at < 0 || filepath.Base(project.Configs[grafana.Configs[at].Source].File) != name+".json" {
			t.Errorf("the board %s is not mounted at %s", name, target)
		}
		if i == 0 && *home != target {
			t.Errorf("Grafana shows %s first, want %s", *home, target)
		}
	}
}

// The NATS server accepts its configurations.
func TestNATSConfigurations(t *testing.T) {
	for _, file := range []string{"nats/nats.conf", "kubernetes/nats.conf"} {
		cmd := exec.CommandContext(t.Context(), natsServer(t), "-t", "-c", filepath.Join(deployed, file))
		cmd.Env = []string{"POD_NAME=nats-0", "NATS_PASSWORD=s3cr3t", "NATS_WORKER_PASSWORD=s3cr3t2"}
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}
