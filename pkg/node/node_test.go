package node_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/fulldisk"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// process is a process of a fleet within the test.
type process struct {
	t       *testing.T
	stop    context.CancelFunc
	ended   chan error
	info    node.Info
	notices transcript.Buffer
	log     transcript.Buffer
	header  http.Header // of further requests
}

func config(storeDir string) settings.Settings {
	return settings.Settings{
		Fleet: "test", Listen: "127.0.0.1:0", Workers: 2, Ranges: partition.DefaultBreaks,
		NATS: settings.NATS{StoreDir: storeDir, Replicas: 1, AckWait: 5 * time.Second, LeaseTTL: 2 * time.Second},
		S3:   settings.S3{Region: "us-east-1", AccessKeyID: "id", SecretAccessKey: settings.NewSecret("secret")},
	}
}

type runFunc func(context.Context, node.Env) error

// launch runs a process and returns once it works or has ended. It ends with the test, before the
// directories of the test are removed, into which it may write.
func launch(t *testing.T, run runFunc, s settings.Settings) (p *process, err error) {
	t.Helper()
	canary.Plant(s.Auth.SecretAccessKey.Reveal(), s.NATS.Password.Reveal(), s.LakeFS.SecretAccessKey.Reveal())
	ctx, stop := context.WithCancel(context.Background())
	p = &process{t: t, stop: stop, ended: make(chan error, 1)}
	done := make(chan struct{})
	t.Cleanup(func() {
		stop()
		expect.Received(t, "a process ends", done)
	})
	started := make(chan node.Info, 1)
	go func() {
		defer close(done)
		p.ended <- run(ctx, node.Env{
			Settings: s, Log: node.NewLogger(settings.Log{Level: slog.LevelDebug, Format: "text"}, "", canary.Tee(&p.log)).Logger,
			Notices: canary.Tee(&p.notices), Started: func(i node.Info) { started <- i },
		})
	}()
	select {
	case p.info = <-started:
		return p, nil
	case err := <-p.ended:
		return p, err
	case <-time.After(expect.Patience):
		t.Fatalf("neither started nor ended within %v", expect.Patience)
		return nil, nil
	}
}

// start runs a process that must work.
func start(t *testing.T, run runFunc, s settings.Settings) *process {
	t.Helper()
	p, err := launch(t, run, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// end stops the process, which must end without an error.
func (p *process) end() {
	p.t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("it ended with %v", err)
		}
	case <-time.After(expect.Patience):
		p.t.Fatalf("it did not end within %v", expect.Patience)
	}
}

// client keeps no connection, so that none is left when processes have ended.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: expect.Patience}

// ask sends a request with the keys, unless they are empty, and returns the
// answer.
func (p *process) ask(method, path, id, secret, body string) (code int, answer string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.info.API+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	r.Header.Set("Content-Type", "application/json")
	maps.Copy(r.Header, p.header)
	response, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (p *process) expect(code int, method, path, id, secret, body string) {
	p.t.Helper()
	if got, answer := p.ask(method, path, id, secret, body); got != code {
		p.t.Errorf("%s %s: %d %s, want %d", method, path, got, answer, code)
	}
}

// noLeaks fails the test if it leaves goroutines behind.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		deadline := time.After(10 * time.Second)
		for runtime.NumGoroutine() > before {
			select {
			case <-tick.C:
			case <-deadline:
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines before and %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

func TestACoordinatorStartsServesAndStops(t *testing.T) {
	noLeaks(t)
	s, files := config(t.TempDir()), t.TempDir()
	s.Local.Allowed = []string{files}
	var id, secret string
	for round := range 3 { // each on the directory that the one before has just left
		p := start(t, node.Coordinator, s)
		notices := p.notices.String()
		if round == 0 {
			id, secret = p.info.AccessKeyID, p.info.SecretAccessKey
			if secret == "" || !strings.Contains(notices, secret) {
				t.Fatalf("the first start shows no secret:\n%s", notices)
			}
			p.expect(201, "POST", "/api/v1/repositories", id, secret, `{"name":"repo","storage_namespace":"local://`+files+`/ns","default_branch":"main"}`)
		} else if p.info.SecretAccessKey != "" || strings.Contains(notices, "secret key") || p.info.AccessKeyID != id {
			t.Errorf("start %d shows %+v and\n%s", round+1, p.info, notices)
		}
		for _, part := range []string{p.info.API + "/api/v1", s.NATS.StoreDir, id, "embedded, for this process only"} {
			if !strings.Contains(notices, part) {
				t.Errorf("notices lack %q:\n%s", part, notices)
			}
		}
		p.expect(200, "GET", "/api/v1/repositories/repo/branches/main", id, secret, "")
		p.expect(401, "GET", "/api/v1/repositories/repo", id, "wrong", "")
		p.expect(401, "GET", "/api/v1/repositories/repo", "", "", "")
		p.expect(200, "GET", "/metrics", "", "", "")
		p.end()
		if strings.Contains(p.log.String(), secret) {
			t.Error("the secret is in the log")
		}
		for line := range strings.Lines(p.log.String()) {
			warns := strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN")
			if warns && !strings.Contains(line, "login failed") { // with the wrong secret of above
				t.Errorf("a plain run warns: %s", line)
			}
		}
	}
}

func TestAFleetStartsAndStops(t *testing.T) {
	noLeaks(t)
	const password = "hunter2"
	s := config(t.TempDir())
	seed, public := queuetest.Key(t, t.TempDir())
	s.NATS.Listen, s.Workers, s.NATS.CoordinatorNKeys = "127.0.0.1:0", 0, []string{public}
	s.NATS.User, s.NATS.Password = "user", settings.NewSecret(password)
	first := start(t, node.Coordinator, s)
	if !strings.Contains(first.notices.String(), first.info.NATS) || !strings.HasPrefix(first.info.NATS, "nats://127.0.0.1:") {
		t.Errorf("the first coordinator shows NATS at %q:\n%s", first.info.NATS, first.notices.String())
	}

	s = config("")
	s.NATS.URL = strings.Replace(first.info.NATS, "nats://", "nats://user:"+password+"@", 1)
	s.Metrics.Listen = "127.0.0.1:0"
	w := start(t, node.Worker, s)
	w.expect(200, "GET", "/healthz", "", "", "")
	expect.Eventually(t, "the worker is ready", func() bool {
		code, _ := w.ask("GET", "/readyz", "", "", "")
		return code == 200
	})
	if _, text := w.ask("GET", "/metrics", "", "", ""); !strings.Contains(text, "rangefleet_worker_slots_busy{fleet=\"test\",lane=\"bulk\"} 0") {
		t.Errorf("metrics of a worker:\n%s", text)
	}
	s.Metrics.Listen = ""
	quiet := start(t, node.Worker, s)
	s.NATS.URL, s.NATS.NKeySeedFile = first.info.NATS, seed
	second := start(t, node.Coordinator, s)
	if second.info.SecretAccessKey != "" || second.info.AccessKeyID != first.info.AccessKeyID {
		t.Errorf("two coordinators of one fleet have different keys: %+v", second.info)
	}
	second.expect(404, "GET", "/api/v1/repositories/unknown", first.info.AccessKeyID, first.info.SecretAccessKey, "")
	quiet.end()
	second.end()

	first.end() // NATS goes away
	w.expect(200, "GET", "/healthz", "", "", "")
	expect.Eventually(t, "the worker is not ready", func() bool {
		code, _ := w.ask("GET", "/readyz", "", "", "")
		return code == 503
	})
	w.end()
	for _, p := range []*process{first, second, w, quiet} {
		for _, text := range []string{p.notices.String(), p.log.String()} {
			if strings.Contains(text, password) {
				t.Errorf("a password is shown:\n%s", text)
			}
		}
	}
}

func TestKeysOfTheSettings(t *testing.T) {
	s := config(t.TempDir())
	s.Auth = settings.Auth{AccessKeyID: "me", SecretAccessKey: settings.NewSecret("s3cr3t")}
	p := start(t, node.Coordinator, s)
	defer p.end()
	p.expect(404, "GET", "/api/v1/repositories/unknown", "me", "s3cr3t", "")
	p.expect(401, "GET", "/api/v1/repositories/unknown", "me", "other", "")
	if strings.Contains(p.notices.String(), "s3cr3t") || p.info.SecretAccessKey != "" {
		t.Errorf("a secret that the operator chose is shown:\n%s", p.notices.String())
	}
}

func TestADirectoryIsForOneCoordinator(t *testing.T) {
	s := config(t.TempDir())
	p := start(t, node.Coordinator, s)
	if _, err := launch(t, node.Coordinator, s); err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), s.NATS.StoreDir) {
		t.Errorf("a second coordinator on the directory: %v", err)
	}
	p.end()
	start(t, node.Coordinator, s).end()
}

func TestStartErrorsSayWhy(t *testing.T) {
	noLeaks(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	busy := taken.Addr().String()
	nats := start(t, node.Coordinator, with(config(t.TempDir()), func(s *settings.Settings) { s.NATS.Listen = "127.0.0.1:0" }))
	defer nats.end()
	for name, tc := range map[string]struct {
		run    runFunc
		change func(*settings.Settings)
		want   string
	}{
		"listen":       {node.Coordinator, func(s *settings.Settings) { s.Listen = busy }, "listen: listen tcp " + busy},
		"no address":   {node.Coordinator, func(s *settings.Settings) { s.Listen = "nowhere" }, "listen: "},
		"sources":      {node.Coordinator, func(s *settings.Settings) { s.Sources.Allow = []string{"s3://b/", "gs://b"} }, "sources.allow: "},
		"local":        {node.Coordinator, func(s *settings.Settings) { s.Local.Allowed = []string{"/no/such/dir"} }, "/no/such/dir"},
		"nats address": {node.Coordinator, func(s *settings.Settings) { s.NATS.Listen = busy }, "NATS"},
		"nats url":     {node.Coordinator, func(s *settings.Settings) { s.NATS.URL = "nats://user:hunter2@host:port" }, "connect to NATS"},
		"rules":        {node.Coordinator, func(s *settings.Settings) { s.Access.File = "/no/such/rules" }, "access.file: "},
		"tokens": {node.Coordinator, func(s *settings.Settings) {
			s.Auth.JWT = settings.JWT{Issuer: "https://idp.example.com", Audience: "fleet", JWKS: "ftp://idp.example.com/keys"}
		}, "auth.jwt: "},
		"oidc":          {node.Coordinator, func(s *settings.Settings) { s.Auth.OIDC = settings.OIDC{Issuer: "ftp://idp.example.com"} }, "auth.oidc: "},
		"saml":          {node.Coordinator, func(s *settings.Settings) { s.Auth.SAML.MetadataFile = "/no/such/metadata" }, "auth.saml.metadata_file: "},
		"worker's nats": {node.Worker, func(s *settings.Settings) { s.NATS.URL = "nats://user:hunter2@host:port" }, "connect to NATS"},
		"metrics": {node.Worker, func(s *settings.Settings) {
			s.NATS.URL, s.Metrics.Listen = nats.info.NATS, busy
		}, "metrics.listen: listen tcp " + busy},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, err := launch(t, tc.run, with(config(dir), tc.change))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want one of %q", err, tc.want)
			}
			if p.notices.String() != "" {
				t.Errorf("it shows\n%s", p.notices.String())
			}
			if again := start(t, node.Coordinator, config(dir)); again.info.SecretAccessKey == "" {
				t.Error("keys were generated, but their secret was not shown")
			} else {
				again.end()
			}
		})
	}
}

func with(s settings.Settings, change func(*settings.Settings)) settings.Settings {
	change(&s)
	return s
}

// A process that is told to stop while it waits for NATS has not failed.
func TestAWaitForNATSCanBeEnded(t *testing.T) {
	_, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM) // the signal must not end the test
	defer stop()
	noLeaks(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]runFunc{"coordinator": node.Coordinator, "worker": node.Worker} {
		var said, stderr transcript.Buffer
		cmd := node.Command(name, "short", settings.Coordinator, func(ctx context.Context, env node.Env) error {
			env.Log = slog.New(slog.NewTextHandler(&said, nil))
			return run(ctx, env)
		})
		cmd.SetErr(&stderr)
		cmd.SetArgs([]string{"--nats.url", "nats://user:hunter2@" + free.Addr().String()})
		code := make(chan int, 1)
		go func() { code <- node.Main(cmd) }()
		expect.Eventually(t, "it waits", func() bool { return strings.Contains(said.String(), "nats is not reached") })
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if got := expect.Received(t, "the exit code", code); got != 0 || stderr.String() != "" {
			t.Errorf("%s: exit code %d and %q, want 0 and nothing", name, got, stderr.String())
		}
		if strings.Contains(said.String(), "hunter2") {
			t.Errorf("%s shows the password: %s", name, said.String())
		}
	}
}

// A process ends once its connection to NATS is closed for good.
func TestALostConnectionEndsAWorker(t *testing.T) {
	door := queuetest.OpenDoor(t)
	s := config("")
	s.NATS.URL = door.URL
	p := start(t, node.Worker, s)
	door.Shut("No Such Word")
	err := expect.Received(t, "the end", p.ended)
	if err == nil || !strings.Contains(err.Error(), "No Such Word") {
		t.Errorf("it ended with %v", err)
	}
}

// A coordinator ends when the disk of its embedded server is full. Once there is room, it can
// be started again.
func TestAFullDiskEndsACoordinator(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	s := config(t.TempDir())
	seed, public := queuetest.Key(t, t.TempDir())
	s.NATS.Listen, s.NATS.CoordinatorNKeys = "127.0.0.1:0", []string{public}
	p := start(t, node.Coordinator, s)
	end := fulldisk.Begin(t)
	q, err := backend.Connect(t.Context(), natsconn.Config{URL: p.info.NATS, Login: natsconn.Login{SeedFile: seed}}, backend.Options{})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	go func() { // it is not answered
		_, _ = q.Bucket(kv.BucketCatalog).Create(t.Context(), "large", make([]byte, 2*fulldisk.Size))
	}()
	err = expect.Received(t, "the end", p.ended)
	end()
	if err == nil || !strings.Contains(err.Error(), "write error") || !strings.Contains(err.Error(), "make room and start again") {
		t.Errorf("it ended with %v", err)
	}
	start(t, node.Coordinator, s).end()
}
