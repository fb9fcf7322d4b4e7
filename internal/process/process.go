// Package process runs programs for tests and benchmarks, and kills them when the test
// process dies.
package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/internal/transcript"
)

// Process is a running program, which can be restarted. Methods other than Output must not be
// called concurrently.
type Process struct {
	Cmd  *exec.Cmd     // the latest run
	Done chan struct{} // closed when the latest run has ended and Cmd.ProcessState is set

	command func() *exec.Cmd
	output  transcript.Buffer
}

// Start runs a command. It calls the function for each run to get the command. What coordinators and
// workers write is searched for the secrets of the tests, see package canary.
func Start(command func() *exec.Cmd) (*Process, error) {
	p := &Process{command: command}
	return p, p.start()
}

func (p *Process) start() error {
	cmd, done := p.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if name := filepath.Base(cmd.Path); name == "coordinator" || name == "worker" {
		canary.Environment(cmd.Env)
		both := canary.Tee(&p.output)
		cmd.Stdout, cmd.Stderr = both, both
	}
	DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.Cmd, p.Done = cmd, done
	go func() {
		_ = cmd.Wait() // the result is in its output and ProcessState
		close(done)
	}()
	return nil
}

// Kill kills the program as kill -9 does, and returns when it is gone. It does nothing if the
// program has ended.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended
	<-p.Done
}

// Restart kills the program and runs a new one.
func (p *Process) Restart() error {
	p.Kill()
	return p.start()
}

// Output returns everything that all runs have written. It may be called concurrently.
func (p *Process) Output() string { return p.output.String() }

// Env returns an environment of a home directory, the PATH of this process, and more.
func Env(home string, more ...string) []string {
	return append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, more...)
}

// Tail returns the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// The ports of FreeAddress: lowPort to highPort-1, below those that systems assign.
const lowPort, highPort = 20000, 32000

// FreeAddress returns a local address on which nothing listens. The system does not assign its
// port to others before a program listens there.
func FreeAddress() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		address := fmt.Sprintf("127.0.0.1:%d", lowPort+rand.IntN(highPort-lowPort))
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}
