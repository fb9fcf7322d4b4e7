package deploy_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

// patience bounds every wait.
const patience = 5 * time.Minute

// start runs the command that the function returns. Each restart runs a new one. The process
// is killed at the end of the test.
func start(t *testing.T, command func() *exec.Cmd) *process.Process {
	t.Helper()
	p, err := process.Start(command)
	expect.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the end of the output of %s:\n%s", p.Cmd.Path, process.Tail(p.Output(), 30))
		}
	})
	return p
}

// serves waits until a URL answers with 200.
func serves(t *testing.T, what, url string) {
	t.Helper()
	expect.Within(t, patience, what, await.Serving(url))
}

// freeAddress returns a local address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	return address
}
