package lakefsserver_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/installed"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// startRangefleet starts a coordinator with a worker and NATS in it, whose store is at an
// endpoint, and returns its own. It knows one user.
func startRangefleet(t *testing.T, store string, user lakefstest.User) (endpoint string) {
	t.Helper()
	endpoint, _ = runRangefleet(t, store, "RANGEFLEET_AUTH_ACCESS_KEY_ID="+user.AccessKeyID, "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+user.SecretAccessKey)
	return endpoint
}

// runRangefleet is startRangefleet with settings, and returns the process, too.
func runRangefleet(t *testing.T, store string, settings ...string) (endpoint string, p *process.Process) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "coordinator")
	expect.NoError(t, installed.Run(exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", program, "./cmd/coordinator")))
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	nats, err := process.FreeAddress()
	expect.NoError(t, err)
	p, err = process.Start(func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(process.Env(dir,
			"RANGEFLEET_LISTEN="+address,
			"RANGEFLEET_NATS_STORE_DIR="+filepath.Join(dir, "nats"),
			"RANGEFLEET_NATS_LISTEN="+nats,
			"RANGEFLEET_NATS_USER=fleet",
			"RANGEFLEET_NATS_PASSWORD=of-the-tests",
			"RANGEFLEET_S3_ENDPOINT="+store,
			"RANGEFLEET_S3_FORCE_PATH_STYLE=true",
			"RANGEFLEET_S3_ACCESS_KEY_ID="+ceph.AccessKeyID,
			"RANGEFLEET_S3_SECRET_ACCESS_KEY="+ceph.SecretAccessKey,
		), settings...)
		return cmd
	})
	expect.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of the coordinator, the last of it:\n%s", process.Tail(p.Output(), 40))
		}
	})
	expect.Within(t, expect.Patience, "coordinator ready", await.Serving("http://"+address+"/_ready"))
	return "http://" + address, p
}
