package lakefstest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

// Esti is how lakeFS's own system tests reach a server: lakeFS itself, or one with its API.
type Esti struct {
	Endpoint   string // without a path
	User       User
	Namespaces string // s3://bucket/prefix/, below which repositories lie
}

// outcomes are the lines of a test's output that say how tests ended.
var outcomes = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`)

// Run runs the tests of lakeFS whose names match a regular expression, as go test -run does, and
// returns how each of them and their subtests ended, PASS, FAIL or SKIP, and what they printed.
func (e Esti) Run(t testing.TB, tests string) (ended map[string]string, output string) {
	t.Helper()
	programs, err := Programs(t.Context())
	expect.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "esti.test"), "-system-tests", "-test.v", "-test.run", tests) //nolint:gosec // installed here
	cmd.Dir = filepath.Join(programs, "esti")
	cmd.Env = process.Env(t.TempDir(),
		"ESTI_SETUP_LAKEFS=false",
		"ESTI_ENDPOINT_URL="+e.Endpoint,
		"ESTI_ACCESS_KEY_ID="+e.User.AccessKeyID,
		"ESTI_SECRET_ACCESS_KEY="+e.User.SecretAccessKey,
		"ESTI_BLOCKSTORE_TYPE=s3",
		"ESTI_STORAGE_NAMESPACE="+e.Namespaces,
		"ESTI_BINARIES_DIR="+programs,
	)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	ended = map[string]string{}
	for _, line := range outcomes.FindAllStringSubmatch(string(out), -1) {
		ended[line[2]] = line[1]
	}
	return ended, string(out)
}
