// Package e2e tests the programs as processes: coordinators and workers, with separate NATS
// servers and a real S3 server.
package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// TestMain builds and starts these once for all tests.
var (
	programs string        // directory of the programs
	ceph     s3test.Server // the S3 server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rangefleet-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	programs = dir
	canary.Watch()
	for _, b := range []struct{ module, pkg, name string }{
		{"../..", "./cmd/coordinator", "coordinator"},
		{"../..", "./cmd/worker", "worker"},
		{"../..", "./cmd/rangectl", "rangectl"},
		{"../lakefs", "./cmd/oracle", "oracle"},
		{".", "github.com/nats-io/nats-server/v2", "nats-server"},
	} {
		build := exec.Command("go", "build", "-C", b.module, "-o", filepath.Join(dir, b.name), b.pkg)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", b.name, err, out)
			return 1
		}
	}
	server, stop, err := s3test.Ceph()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	ceph = server
	return m.Run()
}

// metarangeOf returns the ID of the metarange that lakeFS's packages make of entries, which are
// JSON lines sorted by key.
func metarangeOf(t *testing.T, lines []byte, b breaks) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "oracle"),
		"-max", fmt.Sprint(b.maxSize), "-raggedness", fmt.Sprint(b.raggedness))
	cmd.Stdin = bytes.NewReader(lines)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oracle: %v", err)
	}
	return string(bytes.TrimSpace(out))
}
