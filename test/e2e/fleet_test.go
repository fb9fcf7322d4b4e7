package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// start runs one of the programs, which is killed at the end of the test.
func start(t *testing.T, name string, env []string, args ...string) *process.Process {
	t.Helper()
	p, err := process.Start(func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, name), args...)
		cmd.Env = process.Env(t.TempDir(), env...)
		return cmd
	})
	expect.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			requests := regexp.MustCompile(`(?m)^.*"msg":"request".*\n`)
			t.Logf("the end of the output of %s:\n%s", name, process.Tail(requests.ReplaceAllString(p.Output(), ""), 60))
		}
	})
	return p
}

// freeAddress returns a local address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	return address
}

// breaks are settings of ranges, small enough that even small imports have many ranges.
type breaks struct{ maxSize, raggedness int }

var smallBreaks = breaks{maxSize: 16 << 10, raggedness: 300}

// fleet is a coordinator, its NATS server and its workers.
type fleet struct {
	t           *testing.T
	env         []string
	own         []string           // settings of coordinators
	nats        []*process.Process // empty if the server is embedded
	coordinator *process.Process
	workers     []*process.Process
	api         string
	client      *client.Client
}

// shape is the numbers of processes of a fleet.
type shape struct {
	nats    int // NATS servers; 0 for one that is embedded in the coordinator
	workers int // worker processes; 0 for workers in the coordinator
}

const (
	accessKey = "AKIATESTTESTTESTTEST"
	secretKey = "a secret of the tests"
)

// newFleet starts a fleet.
func newFleet(t *testing.T, b breaks, s shape, settings ...string) *fleet {
	t.Helper()
	dir := t.TempDir()
	f := &fleet{t: t, api: freeAddress(t)}
	f.env = append([]string{
		"RANGEFLEET_S3_ENDPOINT=" + ceph.Endpoint,
		"RANGEFLEET_S3_FORCE_PATH_STYLE=true",
		"RANGEFLEET_S3_ACCESS_KEY_ID=" + ceph.AccessKeyID,
		"RANGEFLEET_S3_SECRET_ACCESS_KEY=" + ceph.SecretAccessKey,
		"RANGEFLEET_LOCAL_ALLOWED=" + dir,
		"RANGEFLEET_NATS_ACK_WAIT=3s",
		"RANGEFLEET_NATS_LEASE_TTL=2s",
	}, settings...)
	own := []string{
		"RANGEFLEET_LISTEN=" + f.api,
		"RANGEFLEET_AUTH_ACCESS_KEY_ID=" + accessKey,
		"RANGEFLEET_AUTH_SECRET_ACCESS_KEY=" + secretKey,
		fmt.Sprintf("RANGEFLEET_RANGES_MAX_SIZE_BYTES=%d", b.maxSize),
		fmt.Sprintf("RANGEFLEET_RANGES_RAGGEDNESS=%d", b.raggedness),
		fmt.Sprintf("RANGEFLEET_NATS_REPLICAS=%d", max(1, s.nats)),
	}
	if s.workers > 0 {
		own = append(own, "RANGEFLEET_WORKERS=0")
	}
	var url string
	if s.nats > 0 {
		url = f.startNATS(dir, s.nats)
		own = append(own, "RANGEFLEET_NATS_URL="+url)
	} else {
		listen := freeAddress(t)
		url = "nats://" + listen
		f.env = append(f.env, "RANGEFLEET_NATS_USER=fleet", "RANGEFLEET_NATS_PASSWORD=of-the-tests")
		own = append(own, "RANGEFLEET_NATS_STORE_DIR="+filepath.Join(dir, "nats"), "RANGEFLEET_NATS_LISTEN="+listen)
	}
	f.own = append(own, f.env...)
	f.coordinator = start(t, "coordinator", f.own)
	for range s.workers {
		f.workers = append(f.workers, start(t, "worker", append([]string{"RANGEFLEET_WORKERS=2", "RANGEFLEET_NATS_URL=" + url}, f.env...)))
	}
	f.client = newClient(t, f.api)
	f.ready()
	return f
}

func newClient(t *testing.T, address string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://" + address, AccessKeyID: accessKey, SecretAccessKey: secretKey, Attempts: 12})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// join starts another coordinator of the fleet, whose NATS server must not be embedded, and
// returns a fleet whose API is that coordinator.
func (f *fleet) join() *fleet {
	f.t.Helper()
	other := *f
	other.api = freeAddress(f.t)
	other.coordinator = start(f.t, "coordinator", append(slices.Clone(f.own), "RANGEFLEET_LISTEN="+other.api))
	other.client = newClient(f.t, other.api)
	other.ready()
	return &other
}

// startNATS starts n NATS servers, which form a cluster if n > 1, and returns their URLs.
func (f *fleet) startNATS(dir string, n int) (urls string) {
	f.t.Helper()
	clients, routes := make([]string, n), make([]string, n)
	for i := range n {
		clients[i], routes[i] = "nats://"+freeAddress(f.t), "nats://"+freeAddress(f.t)
	}
	for i := range n {
		args := []string{"-js", "-sd", filepath.Join(dir, fmt.Sprintf("nats-%d", i)), "-n", fmt.Sprintf("n%d", i)}
		host, port, _ := strings.Cut(strings.TrimPrefix(clients[i], "nats://"), ":")
		args = append(args, "-a", host, "-p", port)
		if n > 1 {
			args = append(args, "-cluster_name", "test", "-cluster", routes[i], "-routes", strings.Join(routes, ","))
		}
		f.nats = append(f.nats, start(f.t, "nats-server", nil, args...))
	}
	return strings.Join(clients, ",")
}

// ready waits until the coordinator serves requests.
func (f *fleet) ready() {
	f.t.Helper()
	expect.Within(f.t, patience, "coordinator ready", await.Serving("http://"+f.api+"/_ready"))
}

// patience bounds every wait.
const patience = 2 * time.Minute

// repository creates a repository with a namespace of its own in the bucket.
func (f *fleet) repository(name, bucket string) {
	f.t.Helper()
	_, err := f.client.CreateRepository(f.t.Context(), api.RepositoryCreation{
		Name: name, StorageNamespace: fmt.Sprintf("s3://%s/ns-%s-%d", bucket, name, time.Now().UnixNano()),
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// begin starts an import of a prefix into a branch.
func (f *fleet) begin(repository, branch, source, destination string) (id string) {
	f.t.Helper()
	id, err := f.client.StartImport(f.t.Context(), repository, branch, api.ImportPathsCreation{
		Paths:  []api.ImportLocation{{Type: "common_prefix", Path: source, Destination: destination}},
		Commit: api.CommitCreation{Message: "import " + source},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

// status returns the status of an import. It retries while the coordinator is unreachable.
func (f *fleet) status(repository, branch, id string) api.ImportStatusResp {
	f.t.Helper()
	status, err := f.client.ImportStatus(f.t.Context(), repository, branch, id)
	if err != nil {
		f.t.Fatal(err)
	}
	return status
}

// finish waits until an import has completed.
func (f *fleet) finish(repository, branch, id string) api.ImportStatusResp {
	f.t.Helper()
	var status api.ImportStatusResp
	expect.Within(f.t, patience, "import "+id+" completed", func(context.Context) (bool, error) {
		status = f.status(repository, branch, id)
		if status.Error.Message != "" {
			return false, fmt.Errorf("import failed: %s", status.Error.Message)
		}
		return status.Completed, nil
	})
	return status
}
