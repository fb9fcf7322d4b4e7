package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// secret is the content of the secret that the manifests refer to.
var secret = map[string]string{
	"nats_password": "pa55word", "nats_worker_password": "w0rker-pa55word", "access_key_id": "AKIATESTTESTTESTTEST", "secret_access_key": "a-secret-of-the-tests",
	"s3_access_key_id": "synthetic", "s3_secret_access_key": "synthetic",
}

// compile returns a function that compiles a program of a module once and returns its path.
func compile(module, pkg string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "rangefleet-deploy-")
		if err != nil {
			return "", err
		}
		cleanups = append(cleanups, func() error { return os.RemoveAll(dir) })
		program := filepath.Join(dir, "program")
		if text, err := exec.Command("go", "build", "-C", module, "-o", program, pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
		return program, nil
	})
}

var (
	compileNATS = compile(".", "github.com/nats-io/nats-server/v2")
	compileS3   = compile("../../bench", "./cmd/synths3")
)

func natsServer(t *testing.T) string {
	t.Helper()
	program, err := compileNATS()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// pod is a container of a workload that runs as a local process, with its arguments,
// environment and files, but other addresses.
type pod struct {
	*process.Process
	program   string // that it runs when it starts the next time
	container corev1.Container
	addresses map[int32]string // by port of the container
	dir       string           // directory of its volumes
}

// cluster runs pods.
type cluster struct {
	t         *testing.T
	manifests *manifests
	pods      map[string][]*pod
	store     *process.Process // the S3 server
	storeURL  string
	settings  []string // variables of all programs besides those of the manifests
}

// create creates n pods of a workload, with addresses that do not change when they restart.
// run runs them.
func (c *cluster) create(name string, n int) []*pod {
	c.t.Helper()
	w, ok := c.manifests.workloads[name]
	if !ok {
		c.t.Fatalf("no workload %s", name)
	}
	for range n {
		p := &pod{container: w.container(), addresses: map[int32]string{}}
		for _, port := range p.container.Ports {
			p.addresses[port.ContainerPort] = freeAddress(c.t)
		}
		c.pods[name] = append(c.pods[name], p)
	}
	return c.pods[name]
}

// run runs a program as a pod. replace holds pairs of names and paths that exist only in a
// cluster and their replacements. The variables in more override the environment of the
// manifest.
func (c *cluster) run(name string, ordinal int, program string, replace []string, more ...string) {
	c.t.Helper()
	p, w := c.pods[name][ordinal], c.manifests.workloads[name]
	p.program, p.dir = program, c.t.TempDir()
	for port, address := range p.addresses {
		replace = append(replace, fmt.Sprintf(`"0.0.0.0:%d"`, port), `"`+address+`"`)
	}
	for _, mount := range p.container.VolumeMounts {
		replace = append(replace, mount.MountPath, p.dir+mount.MountPath)
	}
	replacer := strings.NewReplacer(replace...)
	for _, mount := range p.container.VolumeMounts {
		c.mount(w, mount, p.dir+mount.MountPath, replacer)
	}
	var args []string
	for _, a := range p.container.Args {
		args = append(args, replacer.Replace(a))
	}
	env := []string{"PATH=" + os.Getenv("PATH")}
	for _, e := range c.environment(p, fmt.Sprintf("%s-%d", name, ordinal)) {
		env = append(env, replacer.Replace(e))
	}
	p.Process = start(c.t, func() *exec.Cmd {
		cmd := exec.Command(p.program, args...)
		if filepath.Base(p.program) == p.container.Args[0] {
			cmd.Args = cmd.Args[1:] // the first argument is the name of the image's program
		}
		cmd.Env = append(env, more...)
		return cmd
	})
}

// mount creates the directory of a volume, with the files of a config map.
func (c *cluster) mount(w workload, mount corev1.VolumeMount, dir string, replacer *strings.Replacer) {
	c.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	for _, v := range w.pod.Spec.Volumes {
		if v.Name != mount.Name || v.ConfigMap == nil {
			continue
		}
		for file, text := range c.manifests.configs[v.ConfigMap.Name].Data {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(replacer.Replace(text)), 0o600); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// environment returns the environment of the container that Kubernetes would set.
func (c *cluster) environment(p *pod, name string) (env []string) {
	c.t.Helper()
	values := map[string]string{}
	for _, e := range p.container.Env {
		value := variable.ReplaceAllStringFunc(e.Value, func(v string) string { return values[v[2:len(v)-1]] })
		if from := e.ValueFrom; from != nil && from.FieldRef != nil {
			value = name
		} else if from != nil {
			known, ok := secret[from.SecretKeyRef.Key]
			if !ok {
				c.t.Fatalf("%s: the secret has no %s", e.Name, from.SecretKeyRef.Key)
			}
			value = known
		}
		for port, address := range p.addresses {
			if value == fmt.Sprintf(":%d", port) {
				value = address
			}
		}
		values[e.Name] = value
		env = append(env, e.Name+"="+value)
	}
	return env
}

// ready waits until all probes of a workload's pods succeed.
func (c *cluster) ready(name string) {
	c.t.Helper()
	for i, p := range c.pods[name] {
		for kind, probe := range map[string]*corev1.Probe{
			"startup": p.container.StartupProbe, "readiness": p.container.ReadinessProbe, "liveness": p.container.LivenessProbe,
		} {
			at := slices.IndexFunc(p.container.Ports, func(port corev1.ContainerPort) bool { return port.Name == probe.HTTPGet.Port.StrVal })
			url := "http://" + p.addresses[p.container.Ports[at].ContainerPort] + probe.HTTPGet.Path
			serves(c.t, fmt.Sprintf("%s probe of %s %d, %s", kind, name, i, url), url)
		}
	}
}

// flaky are the flags of a synthetic S3 that sometimes refuses calls.
var flaky = []string{"-latency", "100ms", "-slowdown", "0.05", "-object-latency", "10ms", "-object-slowdown", "0.5"}

// startCluster runs the workloads of the manifests with three workers, against a synthetic S3 with
// these flags. more are variables of coordinators and workers.
func startCluster(t *testing.T, more []string, flags ...string) *cluster {
	t.Helper()
	i := builtImage(t)
	m, err := parse(build(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, manifests: m, pods: map[string][]*pod{}}
	s3, settings := freeAddress(t), append(slices.Clone(more), "RANGEFLEET_NATS_ACK_WAIT=2s", "RANGEFLEET_NATS_LEASE_TTL=2s")
	store, err := compileS3()
	if err != nil {
		t.Fatal(err)
	}
	c.store = start(t, func() *exec.Cmd { return exec.Command(store, append([]string{"-listen", s3}, flags...)...) })
	c.storeURL = "http://" + s3
	settings = append(settings, "RANGEFLEET_S3_ENDPOINT="+c.storeURL, "RANGEFLEET_S3_FORCE_PATH_STYLE=true", "RANGEFLEET_S3_LISTING=parallel")
	var routes []string
	for i, p := range c.create("nats", 3) {
		routes = append(routes, fmt.Sprintf("nats-%d.nats-peers:6222", i), p.addresses[6222])
	}
	for i := range 3 {
		c.run("nats", i, natsServer(t), routes)
	}
	c.ready("nats")
	c.settings = settings
	var servers []string
	for _, p := range c.pods["nats"] {
		servers = append(servers, "nats://"+p.addresses[4222])
	}
	nats := []string{"nats://nats:4222", strings.Join(servers, ",")}
	for name, n := range map[string]int{"coordinator": 2, "worker": 3} {
		c.create(name, n)
		for k := range n {
			c.run(name, k, i.program(name), nats, settings...)
		}
	}
	c.ready("coordinator")
	c.ready("worker")
	return c
}

// client returns a client of one of the coordinators.
func (c *cluster) client(ordinal int) *client.Client {
	c.t.Helper()
	cl, err := client.New(client.Config{
		Endpoint:    "http://" + c.pods["coordinator"][ordinal].addresses[8000],
		AccessKeyID: secret["access_key_id"], SecretAccessKey: secret["secret_access_key"], Attempts: 12,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}
