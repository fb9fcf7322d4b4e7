package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rangefleet/rangefleet/internal/canary"
)

// respawn is how long a program that ended by itself stays down. The harness then restarts it,
// as a supervisor would.
const respawn = 300 * time.Millisecond

// process is a supervised program: it is restarted whenever it ends, unless it is to be down.
// Methods may be called concurrently.
type process struct {
	name string
	path string
	args []string
	env  func(run int) []string // of run 0, 1, ...
	log  string                 // file for the output of all runs
	note func(format string, args ...any)

	mu      sync.Mutex
	cmd     *exec.Cmd
	up      bool          // the program is to run
	ended   chan struct{} // closed when the present run has ended
	wake    chan struct{} // receives a value after up changed
	runs    int
	faults  []string // ends that no fault explains
	frozen  bool
	stopped chan struct{} // supervise has returned
}

// supervise supervises the process, which is down at first, until ctx ends.
func (p *process) supervise(ctx context.Context) {
	p.wake = make(chan struct{}, 1)
	p.stopped = make(chan struct{})
	go func() {
		defer close(p.stopped)
		for ctx.Err() == nil {
			if !p.wanted() {
				select {
				case <-ctx.Done():
				case <-p.wake:
				}
				continue
			}
			p.run(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(respawn):
			}
		}
	}()
}

func (p *process) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// run runs the program once. It kills the program when ctx ends.
func (p *process) run(ctx context.Context) {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.fault("cannot open its log: %v", err)
		return
	}
	defer out.Close()
	p.mu.Lock()
	if !p.up {
		p.mu.Unlock()
		return
	}
	env := p.env(p.runs)
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Env = append([]string{"HOME=" + filepath.Dir(p.log), "PATH=" + os.Getenv("PATH"), "GOTRACEBACK=all"}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	if name := filepath.Base(p.path); name == "coordinator" || name == "worker" {
		canary.Environment(cmd.Env)
		both := canary.Tee(out)
		cmd.Stdout, cmd.Stderr = both, both
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	fmt.Fprintf(out, "=== run %d of %s, %s\n", p.runs, p.name, time.Now().Format("15:04:05.000"))
	p.runs++
	ended := make(chan struct{})
	p.cmd, p.ended, p.frozen = cmd, ended, false
	err = cmd.Start()
	p.mu.Unlock()
	defer close(ended)
	if err != nil {
		p.fault("cannot start: %v", err)
		return
	}
	err = cmd.Wait()
	p.judge(ctx, cmd, err)
}

// judge records an end that no process may have: a panic, or a fatal error of the runtime. A
// process may be killed, or exit with an error.
func (p *process) judge(ctx context.Context, cmd *exec.Cmd, err error) {
	if ctx.Err() != nil {
		return
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled() && status.Signal() == syscall.SIGKILL:
		if p.wanted() {
			p.note("%s died at a point", p.name)
		}
	case err == nil:
		if p.wanted() {
			p.fault("ended without a signal")
		}
	case cmd.ProcessState.ExitCode() == 1:
		p.note("%s ended with exit code 1", p.name)
	default:
		p.fault("ended with %v", err)
	}
}

func (p *process) fault(format string, args ...any) {
	text := p.name + ": " + fmt.Sprintf(format, args...)
	p.note("%s", text)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, text)
}

// start starts the program, and keeps it running.
func (p *process) start() { p.want(true) }

func (p *process) want(up bool) {
	p.mu.Lock()
	p.up = up
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// stop ends the program with a signal and keeps it down. If the program has not ended within
// the limit, stop kills it and returns false.
func (p *process) stop(sig syscall.Signal, limit time.Duration) bool {
	p.want(false)
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if ended == nil {
		return true
	}
	p.signal(sig)
	select {
	case <-ended:
		return true
	case <-time.After(limit):
		p.signal(syscall.SIGKILL)
		<-ended
		return false
	}
}

// kill kills the program and keeps it down.
func (p *process) kill() { p.stop(syscall.SIGKILL, time.Minute) }

// signal sends a signal to the program, if it is running.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(sig) // it may have ended
	}
}

// panicked returns the first line of the log that tells of a panic or a data race, or "".
func (p *process) panicked() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "WARNING: DATA RACE") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
