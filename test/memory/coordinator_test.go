// Package memory runs coordinators and workers with little memory: a coordinator under attack
// by hostile clients, and a worker with the most open paths that an import may have.
package memory_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	workers = 1
	// The memory limits of a coordinator, with or without workers, and of a worker, as
	// documented in docs/operating.md.
	limit       = 208 << 20
	limitWorker = 192 << 20
	// program is for the program itself and memory of the runtime outside of its limit.
	program = 64 << 20
	// data is the limit at which the system refuses more memory, which ends the process.
	data = 512 << 20

	key, secret = "key", "secret"
	patience    = 2 * time.Minute
)

// process is a running program.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	api  string // URL of a coordinator
	nats string // URL of the embedded NATS server, if it listens
}

// start runs a coordinator with limited memory. It may read and write dir.
func start(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	args := append([]string{"--listen", "127.0.0.1:0", "--nats.store_dir", filepath.Join(dir, "nats")}, more...)
	p, lines := launch(t, dir, "coordinator", args...)
	for lines.Scan() {
		if m := regexp.MustCompile(`^API +(\S+)/api/v1$`).FindStringSubmatch(lines.Text()); m != nil {
			p.api = m[1]
		}
		if m := regexp.MustCompile(`^NATS +(nats://\S+) `).FindStringSubmatch(lines.Text()); m != nil {
			p.nats = m[1]
		}
		if regexp.MustCompile("^(access key|lakeFS) ").MatchString(lines.Text()) { // the last line
			go drain(lines)
			return p
		}
	}
	t.Fatal("the coordinator ended before it listened")
	return nil
}

// startWorker runs a worker with limited memory.
func startWorker(t *testing.T, dir, nats string) *process {
	t.Helper()
	p, lines := launch(t, dir, "worker", "--nats.url", nats, "--workers", strconv.Itoa(workers))
	go drain(lines)
	return p
}

// drain discards the rest of the output, so that its writer does not block.
func drain(lines *bufio.Scanner) {
	for lines.Scan() {
		continue
	}
}

// launch builds a program and runs it with limited memory. It returns a scanner of the lines
// that the program prints.
func launch(t *testing.T, dir, name string, args ...string) (*process, *bufio.Scanner) {
	t.Helper()
	bin := filepath.Join(dir, name)
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", bin, "./cmd/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -d %d && exec "$0" "$@"`, data>>10), bin, "--local.allowed", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=", "RANGEFLEET_AUTH_ACCESS_KEY_ID="+key, "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+secret)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the end of its log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return &process{t: t, cmd: cmd}, bufio.NewScanner(out)
}

// peak returns the most resident memory that the process has had, in bytes.
func (p *process) peak() int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		p.t.Fatalf("the process has no VmHWM: %s", status)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return kb << 10
}

// send sends a request and returns the answer. If user is "", the request has no credentials.
func (p *process) send(method, path, user string, body io.Reader) (code int, answer string, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.api+path, body)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if user != "" {
		r.SetBasicAuth(user, secret)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// must sends a request that must be answered with the code, and returns the answer.
func (p *process) must(code int, method, path, body string) string {
	p.t.Helper()
	got, answer, err := p.send(method, path, key, strings.NewReader(body))
	if err != nil || got != code {
		p.t.Fatalf("%s %s: %d %.200s, %v, want %d", method, path, got, answer, err, code)
	}
	return answer
}

// attack is a kind of request that many clients send at the same time.
type attack struct {
	name    string
	clients int
	method  string
	path    string
	user    string
	body    func() io.Reader
	codes   []int // permitted status codes
}

// run sends the requests of all attacks at once, and checks that each is answered.
func (p *process) run(attacks ...attack) {
	p.t.Helper()
	var clients sync.WaitGroup
	for _, a := range attacks {
		for range a.clients {
			clients.Go(func() {
				code, answer, err := p.send(a.method, a.path, a.user, a.body())
				if err != nil {
					p.t.Errorf("%s: %v", a.name, err)
					return
				}
				for _, c := range a.codes {
					if c == code {
						return
					}
				}
				p.t.Errorf("%s: %d %.200s, want one of %d", a.name, code, answer, a.codes)
			})
		}
	}
	clients.Wait()
}

// ranges returns a body of n ranges.
func ranges(n int) []byte {
	body := []byte(`{"ranges":[`)
	for i := range n {
		body = fmt.Appendf(body, `{"id":"%064d","min_key":"a%020d","max_key":"a%020d","count":1,"estimated_size":1},`, i, 2*i, 2*i+1)
	}
	return append(body[:len(body)-1], "]}"...)
}

// unsized hides the length of a body.
func unsized(r io.Reader) io.Reader { return struct{ io.Reader }{r} }

const (
	repository = "/api/v1/repositories/repo"
	imports    = repository + "/branches/main/import"
)

// TestHostileRequests sends many of the largest and the strangest requests at once. Each is
// answered, and so are health checks. Imports go on, and memory stays within the documented
// limit.
func TestHostileRequests(t *testing.T) {
	dir := t.TempDir()
	source := files(t, dir)
	p := start(t, dir, "--workers", strconv.Itoa(workers))
	p.must(201, http.MethodPost, "/api/v1/repositories", `{"name":"repo","storage_namespace":"local://`+dir+`/ns"}`)
	id := p.openPaths("local://"+source+"/", 64)

	large, text := ranges(90_000), strings.Repeat("x", 1<<20-200)
	bytes := func(b string) func() io.Reader { return func() io.Reader { return strings.NewReader(b) } }
	p.run(
		attack{"ranges", 30, http.MethodPost, repository + "/branches/metaranges", key, bytes(string(large)), []int{400, 404, 429}},
		attack{"ranges of unknown length", 10, http.MethodPost, repository + "/branches/metaranges", key, func() io.Reader { return unsized(strings.NewReader(string(large))) }, []int{400, 404, 429}},
		attack{"too many ranges", 5, http.MethodPost, repository + "/branches/metaranges", key, bytes(string(ranges(100_001))), []int{400, 413, 429}},
		attack{"ranges of nobody", 50, http.MethodPost, repository + "/branches/metaranges", "", bytes(string(large[:1<<16-1])), []int{400, 401}},
		attack{"ranges by hand", 20, http.MethodPost, repository + "/branches/ranges", key, bytes(`{"from_source_uri":"local://` + source + `/","after":"","prepend":"x/"}`), []int{201, 429}},
		attack{"destination", 20, http.MethodPost, imports, key, bytes(`{"source_uri":"local://` + source + `/","prepend":"` + text[:200_000] + `"}`), []int{400, 429}},
		attack{"message", 20, http.MethodPost, imports, key, bytes(`{"source_uri":"local://` + source + `/","prepend":"","commit_message":"` + text + `"}`), []int{400, 429}},
		attack{"log", 20, http.MethodGet, repository + "/refs/main/commits?amount=1000", key, bytes(""), []int{200, 429}},
		attack{"objects", 50, http.MethodGet, repository + "/refs/main/objects/ls?amount=1000", key, bytes(""), []int{200, 429}},
		attack{"health", 50, http.MethodGet, "/_health", "", bytes(""), []int{200}},
		attack{"guesses", 50, http.MethodGet, repository, "guess", bytes(""), []int{401, 429}},
	)
	p.completed(id)
	p.checkPeak(limit)
}

// TestAWorkerWithAllPathsOpen lets a worker merge as many paths as may be open at the same time.
// The coordinator has no workers of its own.
func TestAWorkerWithAllPathsOpen(t *testing.T) {
	dir := t.TempDir()
	source := files(t, dir)
	p := start(t, dir, "--workers", "0", "--nats.listen", "127.0.0.1:0", "--nats.insecure")
	w := startWorker(t, dir, p.nats)
	p.must(201, http.MethodPost, "/api/v1/repositories", `{"name":"repo","storage_namespace":"local://`+dir+`/ns"}`)
	p.completed(p.openPaths("local://"+source+"/", 64))
	w.checkPeak(limitWorker)
	p.checkPeak(limit)
}

// files creates a directory of files in dir.
func files(t *testing.T, dir string) (source string) {
	t.Helper()
	source = filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		if err := os.WriteFile(filepath.Join(source, fmt.Sprintf("file-%060d", i)), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return source
}

// checkPeak checks that the most memory that the process has had is within the limit.
func (p *process) checkPeak(limit int64) {
	p.t.Helper()
	peak := p.peak()
	p.t.Logf("%s: at most %d MiB", filepath.Base(p.cmd.Args[3]), peak>>20)
	if peak > limit+program {
		p.t.Errorf("%s used %d MiB, want at most %d", filepath.Base(p.cmd.Args[3]), peak>>20, (limit+program)>>20)
	}
}

// openPaths starts an import of n paths to one destination, which are read at the same time.
func (p *process) openPaths(uri string, n int) (id string) {
	p.t.Helper()
	paths := func(n int) string {
		one := `{"type":"common_prefix","path":"` + uri + `","destination":"all/"}`
		return `{"commit":{"message":"` + strings.Repeat("m", 16<<10) + `"},"paths":[` + strings.Repeat(one+",", n-1) + one + `]}`
	}
	p.must(400, http.MethodPost, imports, paths(1000))
	answer := p.must(202, http.MethodPost, imports, paths(n))
	return regexp.MustCompile(`"id":"([a-z0-9]+)"`).FindStringSubmatch(answer)[1]
}

// completed waits until an import is completed.
func (p *process) completed(id string) {
	p.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		answer := p.must(200, http.MethodGet, imports+"?id="+id, "")
		switch {
		case strings.Contains(answer, `"completed":true`):
			return
		case strings.Contains(answer, `"failed"`):
			p.t.Fatalf("the import failed: %s", answer)
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("the import has not ended: %s", answer)
		}
	}
}
