// Package process runs programs for tests and benchmarks, and kills them with
// whoever started them.
package process

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/rangefleet/rangefleet/internal/transcript"
)

// Process is a program that runs, once or again and again. Its methods are for one
// goroutine at a time, but for Output.
type Process struct {
	Cmd  *exec.Cmd     // the latest run
	Done chan struct{} // closed once that has ended; Cmd.ProcessState is there then

	command func() *exec.Cmd
	output  transcript.Buffer
}

// Start runs the command that the function makes.
func Start(command func() *exec.Cmd) (*Process, error) {
	p := &Process{command: command}
	return p, p.start()
}

func (p *Process) start() error {
	cmd, done := p.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	DieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.Cmd, p.Done = cmd, done
	go func() {
		_ = cmd.Wait() // how it ended shows in its output, and in ProcessState
		close(done)
	}()
	return nil
}

// Kill ends the program as kill -9 does, and returns when it is gone. One that has
// ended stays so.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended
	<-p.Done
}

// Restart kills the program and runs another command that the function makes.
func (p *Process) Restart() error {
	p.Kill()
	return p.start()
}

// Output returns all that the runs have written. It may be called by any goroutine.
func (p *Process) Output() string { return p.output.String() }

// Env is an environment of no more than that directory as home, the path of this
// program, and what is added.
func Env(home string, more ...string) []string {
	return append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, more...)
}

// Tail returns the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// FreeAddress returns an address of this machine that nobody listens on, for a
// program that is told where to listen.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
