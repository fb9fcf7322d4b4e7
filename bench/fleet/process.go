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
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/process"
)

// Process is a program that runs, and dies with this one.
type Process struct {
	Name string
	URL  string // where it serves metrics, and what else it serves; "" if nowhere
	cmd  *exec.Cmd
	log  string
	gone measure.Usage // what it had used when it was last looked at
}

// Launch starts the program of that name in dir, where its output goes to a file. It
// ends with ctx.
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

// Pid is the number that the system knows the process by.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_, _ = p.Usage() // kept
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it ended by our signal
}

// Usage returns what the process has used since it started: Wall and Allocs are
// 0. Of one that is gone it is what it had used before.
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

// Metric returns the sum of all samples of a metric of the process.
func (p *Process) Metric(ctx context.Context, name string) (sum float64, err error) {
	resp, err := get(ctx, p.URL+"/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		sample, value, _ := strings.Cut(lines.Text(), " ")
		if labelled, _, _ := strings.Cut(sample, "{"); labelled != name {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("read metric %s: %w", name, err)
		}
		sum += v
	}
	return sum, lines.Err()
}

// Tail returns the end of what the process said.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Ready waits until the process answers 200 at the path.
func (p *Process) Ready(ctx context.Context, path string) error {
	if err := await.Until(ctx, time.Minute, await.Serving(p.URL+path)); err != nil {
		return fmt.Errorf("wait for %s: %w; it said:\n%s", p.Name, err, p.Tail())
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

// Compile builds a program of the module in the directory into dir, for Launch.
func Compile(ctx context.Context, dir, module, pkg, name string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-C", module, "-o", filepath.Join(dir, name), pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("build %s: %w", name, err), errors.New(string(out)))
	}
	return nil
}
