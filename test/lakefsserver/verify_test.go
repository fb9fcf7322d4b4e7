package lakefsserver_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/installed"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// rangectl is the program, built for a test.
type rangectl string

func buildRangectl(t *testing.T) rangectl {
	t.Helper()
	program := filepath.Join(t.TempDir(), "rangectl")
	expect.NoError(t, installed.Run(exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", program, "./cmd/rangectl")))
	return rangectl(program)
}

// as runs a command of a user, and returns what it printed and its exit code.
func (r rangectl) as(t *testing.T, endpoint string, user lakefstest.User, args ...string) (string, int) {
	t.Helper()
	return r.run(t, []string{
		"RANGECTL_ENDPOINT=" + endpoint, "RANGECTL_ACCESS_KEY_ID=" + user.AccessKeyID, "RANGECTL_SECRET_ACCESS_KEY=" + user.SecretAccessKey,
	}, args...)
}

// run runs a command with variables.
func (r rangectl) run(t *testing.T, env []string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), string(r), args...)
	cmd.Env = process.Env(t.TempDir(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// The coordinator verifies the trees of a lakeFS server's branches, those that lakeFS wrote,
// too, and compares them with a source. lakeFS resolves the ref, and decides who may.
func TestVerifyBesideALakeFSServer(t *testing.T) {
	authority := lakefstest.NewAuthority()
	b := newBeside(t, lakefstest.Config{Authority: authority}, "RANGEFLEET_LAKEFS_PROXY=true")
	program := buildRangectl(t)
	verify := func(user lakefstest.User, code int, prints string, args ...string) {
		t.Helper()
		out, got := program.as(t, b.imports.Endpoint, user, append([]string{"verify"}, args...)...)
		if got != code || !strings.Contains(out, prints) {
			t.Errorf("verify %s: exit code %d, want %d and %q, printed:\n%s", strings.Join(args, " "), got, code, prints, out)
		}
	}
	verify(lakefstest.Admin, 0, "Faults        0", "lakefs://repo/main")
	b.wantOne(t, b.begin(t, b.sources+"/a/", "data/"), "data/1", "data/2", "other/c")
	verify(lakefstest.Admin, 0, "Objects       3", "lakefs://repo/main")
	verify(lakefstest.Admin, 0, "Equal         2", "lakefs://repo/main/data/", "--from", b.sources+"/a/")
	verify(lakefstest.Admin, 5, "extra    -                     data/2", "lakefs://repo/main/data/", "--from", b.sources+"/a/1")
	verify(lakefstest.Admin, 5, "Missing       2", "lakefs://repo/main/other/", "--from", b.sources+"/a/")
	verify(lakefstest.Admin, 1, "sources.allow", "lakefs://repo/main/data/", "--from", "s3://elsewhere/")

	authority.Put(user, lakefstest.Allow("*", "fs:ReadCommit"))
	verify(user, 1, "not allowed to fs:ListObjects", "lakefs://repo/main")
	verify(user, 1, "not allowed to fs:ListObjects", "lakefs://repo/main/data/", "--from", b.sources+"/a/")
	authority.Put(user, lakefstest.Allow("*", "fs:ReadCommit", "fs:ListObjects", "fs:ReadRepository"))
	verify(user, 0, "Faults        0", "lakefs://repo/main")
	verify(user, 0, "Equal         2", "lakefs://repo/main/data/", "--from", b.sources+"/a/")

	none := "/metaranges/" + strings.Repeat("0", 64) + "/verification"
	b.imports.In(t, "GET", none, nil).Is(t, http.StatusNotFound, "metarange not found")
	b.imports.Call(t, "GET", "/repositories/none"+none, nil).Is(t, http.StatusNotFound, "")
}
