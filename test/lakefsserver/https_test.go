package lakefsserver_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/installed"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// lakectl speaks HTTPS with a coordinator whose authority it trusts, and not otherwise.
func TestLakectlSpeaksHTTPS(t *testing.T) {
	t.Parallel()
	ca, dir := certs.New(t), t.TempDir()
	certFile, keyFile := ca.Issue("server")
	program := filepath.Join(dir, "coordinator")
	expect.NoError(t, installed.Run(exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", program, "./cmd/coordinator")))
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	p, err := process.Start(func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = process.Env(dir, "RANGEFLEET_LISTEN="+address, "RANGEFLEET_NATS_STORE_DIR="+filepath.Join(dir, "nats"),
			"RANGEFLEET_HTTP_CERT_FILE="+certFile, "RANGEFLEET_HTTP_KEY_FILE="+keyFile,
			"RANGEFLEET_AUTH_ACCESS_KEY_ID="+lakefstest.Admin.AccessKeyID, "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+lakefstest.Admin.SecretAccessKey)
		return cmd
	})
	expect.NoError(t, err)
	t.Cleanup(p.Kill)
	list := func(trusts string) (string, error) {
		cmd := lakefstest.LakectlCommand(t, "https://"+address, lakefstest.Admin, "repo", "list")
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+trusts, "LAKECTL_SERVER_RETRIES_ENABLED=false")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	var out string
	expect.Eventually(t, "lakectl lists repositories", func() bool {
		out, err = list(ca.File)
		return err == nil
	})
	if out, err := list(certs.New(t).File); err == nil || !strings.Contains(out, "certificate signed by unknown authority") {
		t.Errorf("with another authority: %v\n%s", err, out)
	}
	if t.Failed() {
		t.Logf("lakectl says %s\nand the coordinator %s", out, p.Output())
	}
}
