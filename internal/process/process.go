// Package process runs programs for tests and benchmarks, and kills them with
// whoever started them.
package process

import (
	"fmt"
	"math/rand/v2"
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

// Ports of FreeAddress: lowPort to highPort-1, which lie below those that systems
// give to whoever asks for any.
const lowPort, highPort = 20000, 32000

// FreeAddress returns an address of this machine that nobody listens on, for a
// program that is told where to listen. Servers and connections that take any port
// do not get it before the program does.
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
