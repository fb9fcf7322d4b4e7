package deploy_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

// patience bounds every wait for something that must happen.
const patience = 3 * time.Minute

// start runs the command that the function makes, and at each restart another. It is
// killed with its test.
func start(t *testing.T, command func() *exec.Cmd) *process.Process {
	t.Helper()
	p, err := process.Start(command)
	expect.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("output of %s, the last of it:\n%s", p.Cmd.Path, process.Tail(p.Output(), 30))
		}
	})
	return p
}

// serves waits until a URL answers 200.
func serves(t *testing.T, what, url string) {
	t.Helper()
	expect.Within(t, patience, what, await.Serving(url))
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	return address
}
