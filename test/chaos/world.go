package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/test/chaos/proxy"
)

// Settings of every fleet. Times are short, so that a run of half a minute has events that
// otherwise occur within hours.
const (
	ackWait  = "3s"
	leaseTTL = "2s"
)

// breaks make ranges small, so that a small import has hundreds of them.
const (
	maxSize    = 16 << 10
	raggedness = 400
)

const (
	accessKey = "AKIACHAOSCHAOSCHAOS1"
	secretKey = "a secret of the chaos harness"
)

// world holds the fleet of a run with its NATS servers, disks, links and store.
type world struct {
	dir      string // directory of the run's files
	programs string // directory of the programs
	plan     plan
	s3       *store
	disks    []*disk                // of the NATS servers
	procs    map[string]*process    // by name
	apis     []string               // URLs of the coordinators
	s3Links  map[string]*proxy.Link // of each client
	nats     []string               // addresses of the NATS servers, without links
	key      *natsKey               // of coordinators, if NATS is embedded in one of them
	links    map[string][]*proxy.Link
	routes   [natsServers][natsServers]*proxy.Link // from, to

	nc      *nats.Conn // a connection without links
	js      jetstream.JetStream
	begun   time.Time
	calm    time.Time     // the end of the last fault
	settled time.Duration // from calm until all imports had ended and nothing was queued
	out     io.Writer

	mu     sync.Mutex
	faults []string          // violations
	jumps  map[string]string // jumps of clocks, by process
	other  map[string]bool   // NATS servers that get other settings at their next start
	heard  []*nats.Msg       // published partitions and covers
}

func newWorld(ctx context.Context, dir, programs string, p plan, out io.Writer) (*world, error) {
	w := &world{
		dir: dir, programs: programs, plan: p, out: out, begun: time.Now(),
		procs: make(map[string]*process), s3Links: make(map[string]*proxy.Link), links: make(map[string][]*proxy.Link),
		jumps: make(map[string]string), other: make(map[string]bool),
	}
	var err error
	if w.s3, err = newStore(p.seed); err != nil {
		return w, err
	}
	if p.layout == embedded {
		w.nats = []string{freeAddress()}
		if w.key, err = newKey(dir); err != nil {
			return w, err
		}
		if err := w.embeddedDisk(); err != nil {
			return w, err
		}
	} else if err := w.startNATS(ctx); err != nil {
		return w, err
	}
	if w.nc, err = w.connect(); err != nil {
		return w, err
	}
	if w.js, err = jetstream.New(w.nc); err != nil {
		return w, fmt.Errorf("set up JetStream: %w", err)
	}
	if p.layout != embedded {
		if err := w.clustered(ctx); err != nil {
			return w, err
		}
	}
	for _, name := range ofClients(p) {
		if err := w.startClient(ctx, name); err != nil {
			return w, err
		}
	}
	return w, w.ready(ctx, w.apis...)
}

// close ends all processes and unmounts the disks.
func (w *world) close() {
	if w.nc != nil {
		w.nc.Close()
	}
	for _, p := range w.procs {
		p.signal(18) // SIGCONT, for a frozen process
		p.kill()
	}
	for _, l := range w.s3Links {
		l.Close()
	}
	for _, links := range w.links {
		for _, l := range links {
			l.Close()
		}
	}
	for _, row := range w.routes {
		for _, l := range row {
			if l != nil {
				l.Close()
			}
		}
	}
	for _, d := range w.disks {
		if err := d.remove(); err != nil {
			w.note("%v", err)
		}
	}
	if w.s3 != nil {
		_ = w.s3.server.Close() // its clients have ended
	}
}

// note writes an event to the journal, with its time.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.out, "%7.2fs  %s\n", time.Since(w.begun).Seconds(), fmt.Sprintf(format, args...))
}

// violate records a violation.
func (w *world) violate(format string, args ...any) {
	w.note("VIOLATION: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// ownHost returns a loopback address that only the servers of this process listen on, so that
// the ports of a server stay free while it is down.
func ownHost() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>16, pid>>8&255, pid&255)
}

// freeAddress returns a local address on which nothing listens. The system does not assign its
// port to outgoing connections, which get higher ports.
func freeAddress() string {
	for {
		address := fmt.Sprintf("%s:%d", ownHost(), 10_000+rand.N(20_000))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close() // the caller listens there
			return address
		}
	}
}

func port(address string) (n int) {
	_, text, _ := strings.Cut(address, ":")
	_, _ = fmt.Sscan(text, &n) // freeAddress made it
	return n
}

// startNATS starts the NATS servers, with links as routes.
func (w *world) startNATS(ctx context.Context) error {
	clusterAddr := make([]string, natsServers)
	for i := range natsServers {
		w.nats = append(w.nats, freeAddress())
		clusterAddr[i] = freeAddress()
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if program := filepath.Join(w.programs, "chaos"); w.plan.clocked() {
		self = program // its clock can jump
	}
	for i := range natsServers {
		name := fmt.Sprintf("nats-%d", i)
		d, err := newDisk(filepath.Join(w.dir, name), w.plan.layout)
		if err != nil {
			return err
		}
		w.disks = append(w.disks, d)
		cfg := nodeConfig{Name: name, Store: d.dir, Host: ownHost(), Port: port(w.nats[i]), Routes: port(clusterAddr[i])}
		for j := range natsServers {
			if i == j {
				continue
			}
			if w.routes[i][j], err = proxy.Listen(clusterAddr[j]); err != nil {
				return err
			}
			cfg.Peers = append(cfg.Peers, w.routes[i][j].Addr())
		}
		w.run(ctx, name, self, func(int) []string {
			cfg.Other = w.hasOther(name)
			text, _ := json.Marshal(cfg) // strings and numbers can always be encoded
			return []string{nodeVariable + "=" + string(text)}
		})
	}
	return nil
}

// startClient starts a coordinator or a worker, which reaches S3 and NATS through links.
func (w *world) startClient(ctx context.Context, name string) error {
	s3, err := proxy.Listen(w.s3.addr)
	if err != nil {
		return err
	}
	w.s3Links[name] = s3
	var urls []string
	for _, address := range w.nats {
		l, err := proxy.Listen(address)
		if err != nil {
			return err
		}
		w.links[name] = append(w.links[name], l)
		urls = append(urls, "nats://"+l.Addr())
	}
	env := []string{
		"RANGEFLEET_S3_ENDPOINT=http://" + s3.Addr(), "RANGEFLEET_S3_FORCE_PATH_STYLE=true", "RANGEFLEET_S3_LISTING=" + w.plan.listing(),
		"RANGEFLEET_S3_ACCESS_KEY_ID=key", "RANGEFLEET_S3_SECRET_ACCESS_KEY=secret",
		"RANGEFLEET_NATS_ACK_WAIT=" + ackWait, "RANGEFLEET_NATS_LEASE_TTL=" + leaseTTL, "RANGEFLEET_LOG_LEVEL=debug",
	}
	program, isCoordinator := "worker", strings.HasPrefix(name, "coordinator")
	if !isCoordinator || name != "coordinator-0" || w.plan.layout != embedded {
		env = append(env, "RANGEFLEET_NATS_URL="+strings.Join(urls, ","))
		if isCoordinator && w.key != nil {
			env = append(env, "RANGEFLEET_NATS_NKEY_SEED_FILE="+w.key.file)
		}
	} else {
		env = append(env, "RANGEFLEET_NATS_LISTEN="+w.nats[0], "RANGEFLEET_NATS_INSECURE=true", "RANGEFLEET_NATS_STORE_DIR="+w.embeddedStore(),
			"RANGEFLEET_NATS_COORDINATOR_NKEYS="+w.key.public)
	}
	if isCoordinator {
		program = "coordinator"
		api := freeAddress()
		w.apis = append(w.apis, "http://"+api)
		env = append(env, "RANGEFLEET_LISTEN="+api, "RANGEFLEET_WORKERS=0",
			"RANGEFLEET_AUTH_ACCESS_KEY_ID="+accessKey, "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+secretKey,
			fmt.Sprintf("RANGEFLEET_RANGES_MAX_SIZE_BYTES=%d", maxSize), fmt.Sprintf("RANGEFLEET_RANGES_RAGGEDNESS=%d", raggedness),
			fmt.Sprintf("RANGEFLEET_NATS_REPLICAS=%d", len(w.nats)))
	} else {
		env = append(env, "RANGEFLEET_WORKERS=2")
	}
	planned := w.plan.points(name)
	w.run(ctx, name, filepath.Join(w.programs, program), func(run int) []string {
		if run < len(planned) {
			w.note("%s starts with %s", name, planned[run])
			return append([]string{"CHAOS_POINT=" + planned[run]}, env...)
		}
		return env
	})
	return nil
}

func (w *world) embeddedStore() string { return filepath.Join(w.dir, "embedded-nats") }

// embeddedDisk gives the embedded server a disk of its own if a fault fills that disk.
func (w *world) embeddedDisk() error {
	for _, f := range w.plan.faults {
		if f.kind.name == fullKind {
			d, err := newDisk(w.embeddedStore(), small)
			if err == nil {
				w.disks = append(w.disks, d)
			}
			return err
		}
	}
	return nil
}

// points returns the values of CHAOS_POINT for the first runs of a process.
func (p plan) points(name string) (all []string) {
	for _, f := range p.faults {
		if f.kind.name == pointKind && f.target == name {
			all = append(all, f.point())
		}
	}
	return all
}

// processors returns the environment that limits the number of processors of a process.
func (p plan) processors(name string) []string {
	for _, f := range p.faults {
		if f.kind.name == slowKind && f.target == name {
			return []string{"GOMAXPROCS=1"}
		}
	}
	return nil
}

// clocked reports whether a clock jumps in the run.
func (p plan) clocked() bool {
	for _, f := range p.faults {
		if f.kind.clock {
			return true
		}
	}
	return false
}

func (w *world) run(ctx context.Context, name, program string, env func(run int) []string) {
	p := &process{
		name: name, path: program, log: filepath.Join(w.dir, name+".log"), note: w.note,
		env: func(run int) []string { return slices.Concat(env(run), w.clock(name), w.plan.processors(name)) },
	}
	w.procs[name] = p
	p.supervise(ctx)
	p.start()
}

// hasOther reports whether a NATS server must start with other settings.
func (w *world) hasOther(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.other[name]
}

// clock returns the environment that makes the clock of a process jump in its next run.
func (w *world) clock(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if jump := w.jumps[name]; jump != "" {
		return []string{"CHAOS_CLOCK=" + jump}
	}
	return nil
}

// ready waits until the coordinators serve requests.
func (w *world) ready(ctx context.Context, apis ...string) error {
	ctx, cancel := context.WithTimeout(ctx, w.plan.form.patience)
	defer cancel()
	for _, api := range apis {
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/_ready", nil)
			if err != nil {
				return fmt.Errorf("ask whether %s is ready: %w", api, err)
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					break
				}
			}
			if !pause(ctx, 50*time.Millisecond) {
				return fmt.Errorf("no coordinator was ready in time: %w", ctx.Err())
			}
		}
	}
	return nil
}
