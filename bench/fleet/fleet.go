// Package fleet runs a fleet as processes and measures them from outside: a NATS server,
// coordinators, workers and the synthetic S3. It needs Linux, since it reads /proc.
package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// Build builds the programs into dir. The working directory must be that of this module.
func Build(ctx context.Context, dir string) error {
	for _, p := range []struct{ module, pkg, name string }{
		{"..", "./cmd/coordinator", "coordinator"},
		{"..", "./cmd/worker", "worker"},
		{".", "./cmd/synths3", "synths3"},
		{".", "github.com/nats-io/nats-server/v2", "nats-server"},
	} {
		if err := Compile(ctx, dir, p.module, p.pkg, p.name); err != nil {
			return err
		}
	}
	return nil
}

// leastKept is enough for the file that a coordinator stores and reads back to try the
// namespace of a new repository, in bytes.
const leastKept = 1 << 20

// Config is the shape of a fleet.
type Config struct {
	Dir          string // holds the programs, and gets data and logs
	Alone        bool   // one coordinator with NATS and workers in its process, all with default settings
	Coordinators int    // this field and those that follow apply unless Alone is set
	Workers      int
	Slots        int      // of each worker
	MaxLists     int      // LIST calls in flight of each worker; 0 for the default
	S3           *Process // a synthetic S3 that the caller starts and kills; nil: the fleet has its own
	Keep         int64    // bytes of written files that its own keeps; at least leastKept
	Env          []string // additional settings of coordinators and workers
	Faults       synths3.Faults
	Unsynced     bool // NATS syncs what it stores now and then only
}

// Fleet is a running fleet. The caller of Start must call Close.
type Fleet struct {
	S3, NATS     *Process
	Coordinators []*Process
	Workers      []*Process
	Clients      []*client.Client // one for each coordinator
	NATSURL      string           // where clients of NATS connect; "" if it is embedded

	cfg  Config
	data string
}

// The credentials of the clients of coordinators.
const (
	AccessKey = "AKIABENCHBENCHBENCH0"
	SecretKey = "a secret of the benchmarks"
)

// Start starts a fleet and waits until all processes are ready.
func Start(ctx context.Context, cfg Config) (f *Fleet, err error) {
	f = &Fleet{cfg: cfg}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if f.data, err = os.MkdirTemp(cfg.Dir, "data-"); err != nil {
		return f, err
	}
	if f.S3 = cfg.S3; f.S3 == nil {
		if f.S3, err = LaunchS3(ctx, cfg.Dir, "-keep", fmt.Sprint(max(cfg.Keep, leastKept))); err != nil {
			return f, err
		}
	}
	if err := f.Control(ctx, http.MethodPut, "faults", cfg.Faults, nil); err != nil {
		return f, err
	}
	if cfg.Alone {
		return f, f.startCoordinator(ctx, "RANGEFLEET_NATS_STORE_DIR="+filepath.Join(f.data, "nats"))
	}
	nats, err := f.startNATS(ctx)
	if err != nil {
		return f, err
	}
	f.NATSURL = nats
	for range cfg.Coordinators {
		if err := f.startCoordinator(ctx, "RANGEFLEET_NATS_URL="+nats, "RANGEFLEET_WORKERS=0"); err != nil {
			return f, err
		}
	}
	for range cfg.Workers {
		if err := f.startWorker(ctx, nats); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (f *Fleet) startNATS(ctx context.Context) (url string, err error) {
	address, err := process.FreeAddress()
	if err != nil {
		return "", err
	}
	monitor, err := process.FreeAddress()
	if err != nil {
		return "", err
	}
	config := filepath.Join(f.data, "nats.conf")
	sync := "always"
	if f.cfg.Unsynced {
		sync = "2m"
	}
	text := fmt.Sprintf("listen: %q\nhttp: %q\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: %s }\n",
		address, monitor, filepath.Join(f.data, "nats"), sync)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", err
	}
	if f.NATS, err = Launch(ctx, f.cfg.Dir, "nats-server", nil, []string{"-c", config}); err != nil {
		return "", err
	}
	f.NATS.URL = "http://" + monitor
	return "nats://" + address, f.NATS.Ready(ctx, "/healthz")
}

// LaunchS3 starts the program synths3 in dir, with the writable bucket ns, and waits until it
// is ready.
func LaunchS3(ctx context.Context, dir string, args ...string) (*Process, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := Launch(ctx, dir, "synths3", nil, append([]string{"-listen", address, "-buckets", "ns"}, args...))
	if err != nil {
		return nil, err
	}
	p.URL = "http://" + address
	return p, p.Ready(ctx, "/_synths3/counters")
}

func (f *Fleet) env(own ...string) []string {
	env := append([]string{
		"RANGEFLEET_LOG_LEVEL=info", "RANGEFLEET_LOG_FORMAT=text",
		"RANGEFLEET_S3_ENDPOINT=" + f.S3.URL, "RANGEFLEET_S3_FORCE_PATH_STYLE=true", "RANGEFLEET_S3_LISTING=parallel",
		"RANGEFLEET_S3_ACCESS_KEY_ID=bench", "RANGEFLEET_S3_SECRET_ACCESS_KEY=bench",
	}, own...)
	return append(env, f.cfg.Env...)
}

func (f *Fleet) startCoordinator(ctx context.Context, own ...string) error {
	address, err := process.FreeAddress()
	if err != nil {
		return err
	}
	p, err := Launch(ctx, f.cfg.Dir, "coordinator", f.env(append(own, "RANGEFLEET_LISTEN="+address,
		"RANGEFLEET_AUTH_ACCESS_KEY_ID="+AccessKey, "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+SecretKey)...), nil)
	if err != nil {
		return err
	}
	p.URL = "http://" + address
	f.Coordinators = append(f.Coordinators, p)
	c, err := client.New(client.Config{Endpoint: p.URL, AccessKeyID: AccessKey, SecretAccessKey: SecretKey})
	if err != nil {
		return err
	}
	f.Clients = append(f.Clients, c)
	return p.Ready(ctx, "/_ready")
}

func (f *Fleet) startWorker(ctx context.Context, nats string) error {
	address, err := process.FreeAddress()
	if err != nil {
		return err
	}
	own := []string{
		"RANGEFLEET_NATS_URL=" + nats, fmt.Sprintf("RANGEFLEET_WORKERS=%d", f.cfg.Slots), "RANGEFLEET_METRICS_LISTEN=" + address,
	}
	if f.cfg.MaxLists > 0 {
		own = append(own, fmt.Sprintf("RANGEFLEET_S3_MAX_LISTS=%d", f.cfg.MaxLists))
	}
	p, err := Launch(ctx, f.cfg.Dir, "worker", f.env(own...), nil)
	if err != nil {
		return err
	}
	p.URL = "http://" + address
	f.Workers = append(f.Workers, p)
	return p.Ready(ctx, "/readyz")
}

// Processes returns all processes.
func (f *Fleet) Processes() (all []*Process) {
	for _, p := range append([]*Process{f.S3, f.NATS}, append(f.Coordinators, f.Workers...)...) {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// Listers returns the processes that list sources.
func (f *Fleet) Listers() []*Process {
	if f.cfg.Alone {
		return f.Coordinators
	}
	return f.Workers
}

// Close kills all processes but Config.S3, and removes their data. Their logs stay.
func (f *Fleet) Close() {
	for _, p := range f.Processes() {
		if p != f.cfg.S3 {
			p.Kill()
		}
	}
	_ = os.RemoveAll(f.data) // the caller removes Config.Dir later
}

// Control reads or changes the faults and counters of the synthetic S3.
func (f *Fleet) Control(ctx context.Context, method, what string, send, receive any) error {
	text, err := json.Marshal(send)
	if err != nil {
		return err
	}
	resp, err := do(ctx, method, f.S3.URL+"/_synths3/"+what, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s %s of the synthetic S3: %w", method, what, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s of the synthetic S3: %s", method, what, resp.Status)
	}
	if receive == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(receive)
}

// Messages returns the numbers of messages that NATS has received from clients and sent to
// them. Both are 0 if the NATS server is embedded in a coordinator.
func (f *Fleet) Messages(ctx context.Context) (in, out int64, err error) {
	if f.NATS == nil {
		return 0, 0, nil
	}
	resp, err := get(ctx, f.NATS.URL+"/varz")
	if err != nil {
		return 0, 0, fmt.Errorf("ask NATS for its counters: %w", err)
	}
	defer resp.Body.Close()
	var v struct {
		In  int64 `json:"in_msgs"`
		Out int64 `json:"out_msgs"`
	}
	err = json.NewDecoder(resp.Body).Decode(&v)
	return v.In, v.Out, err
}

// Repository creates a repository whose files are stored under a prefix of its own.
func (f *Fleet) Repository(ctx context.Context, name string) error {
	_, err := f.Clients[0].CreateRepository(ctx, api.RepositoryCreation{Name: name, StorageNamespace: "s3://ns/" + name})
	return err
}

// Import is a started import.
type Import struct {
	Repository, Branch, ID string
	Begun                  time.Time
	client                 *client.Client
}

// Begin starts an import of a whole bucket through the coordinator of the given index.
func (f *Fleet) Begin(ctx context.Context, coordinator int, repository, branch, bucket, destination string) (Import, error) {
	i := Import{Repository: repository, Branch: branch, Begun: time.Now(), client: f.Clients[coordinator]}
	var err error
	i.ID, err = i.client.StartImport(ctx, repository, branch, api.ImportPathsCreation{
		Paths:  []api.ImportLocation{{Type: "common_prefix", Path: "s3://" + bucket + "/", Destination: destination}},
		Commit: api.CommitCreation{Message: "import " + bucket},
	})
	return i, err
}

// Ask returns the import with another coordinator to ask about it.
func (i Import) Ask(c *client.Client) Import {
	i.client = c
	return i
}

// Status returns the status of the import.
func (i Import) Status(ctx context.Context) (api.ImportStatusResp, error) {
	return i.client.ImportStatus(ctx, i.Repository, i.Branch, i.ID)
}

// errFailed means that an import ended without a commit.
var errFailed = errors.New("import failed")

// Wait waits until ok returns true for the import's status, or until the import has ended.
func (i Import) Wait(ctx context.Context, within, every time.Duration, ok func(api.ImportStatusResp) bool) (st api.ImportStatusResp, err error) {
	next := time.Now()
	err = await.Until(ctx, within, func(ctx context.Context) (bool, error) {
		if time.Now().Before(next) {
			return false, nil
		}
		next = time.Now().Add(every)
		if st, err = i.Status(ctx); err != nil {
			return false, err
		}
		if text := st.Error.Message; text != "" {
			return false, fmt.Errorf("%w: %s", errFailed, strings.TrimSpace(text))
		}
		return st.Completed || ok != nil && ok(st), nil
	})
	return st, err
}
