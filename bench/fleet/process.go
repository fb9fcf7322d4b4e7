package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/process"
)

// Process is a running program, which dies with this process.
type Process struct {
	Name string
	URL  string // where it serves metrics and its API; "" if it serves nothing
	cmd  *exec.Cmd
	log  string
	gone measure.Usage // the last usage that was read, for a process that has ended

	scraped time.Time // when its metrics were last asked for
}

// Launch starts the program of the given name in dir, and writes its output to a file there.
// The process is killed when ctx ends.
func Launch(ctx context.Context, dir, name string, env, args []string) (*Process, error) {
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, name), args...)
	cmd.Env = process.Env(dir, env...)
	cmd.Stdout, cmd.Stderr = log, log
	process.DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &Process{Name: name, cmd: cmd, log: log.Name()}, nil
}

// Pid returns the process ID.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_, _ = p.Usage() // for later calls of Usage
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // the signal ended it
}

// Usage returns the usage of the process since it started. Wall and Allocs are 0. After the
// end of the process it returns the last usage that was read.
func (p *Process) Usage() (measure.Usage, error) {
	if p.cmd.ProcessState != nil {
		return p.gone, nil
	}
	cpu, err := measure.CPU(p.cmd.Process.Pid)
	if err != nil {
		return p.gone, err
	}
	peak, err := measure.Peak(p.cmd.Process.Pid)
	if err != nil {
		return p.gone, err
	}
	p.gone = measure.Usage{CPU: cpu, Peak: peak}
	return p.gone, nil
}

// Metric returns the sum of all series of some metrics of the process. A process answers what it
// answered less than a second ago once more. So a further call waits that long.
func (p *Process) Metric(ctx context.Context, names ...string) (sum float64, err error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(time.Until(p.scraped.Add(time.Second))):
	}
	defer func() { p.scraped = time.Now() }()
	resp, err := get(ctx, p.URL+"/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		sample, value, _ := strings.Cut(lines.Text(), " ")
		if labelled, _, _ := strings.Cut(sample, "{"); !slices.Contains(names, labelled) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("read metric %s: %w", sample, err)
		}
		sum += v
	}
	return sum, lines.Err()
}

// Tail returns the end of the process's output.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Ready waits until the process answers GETs of the path with 200.
func (p *Process) Ready(ctx context.Context, path string) error {
	if err := await.Until(ctx, time.Minute, await.Serving(p.URL+path)); err != nil {
		return fmt.Errorf("wait for %s: %w; its output:\n%s", p.Name, err, p.Tail())
	}
	return nil
}

func get(ctx context.Context, url string) (*http.Response, error) {
	return do(ctx, http.MethodGet, url, nil)
}

func do(ctx context.Context, method, url string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// Compile builds the package pkg of the module in the directory module into dir, for Launch.
func Compile(ctx context.Context, dir, module, pkg, name string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-o", filepath.Join(dir, name), pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("build %s: %w", name, err), errors.New(string(out)))
	}
	return nil
}
