// Package login_test has browsers log in at real identity providers. The settings and the steps are
// those of docs/access.md.
package login_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rangefleet/rangefleet/internal/canary"
)

// program is the coordinator, which TestMain builds once for all tests.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	canary.Watch()
	dir, err := os.MkdirTemp("", "rangefleet-login-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is a directory for temporary files
	program = filepath.Join(dir, "coordinator")
	build := exec.Command("go", "build", "-C", "../..", "-o", program, "./cmd/coordinator")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the coordinator: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
