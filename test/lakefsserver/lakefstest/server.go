// Package lakefstest runs a real lakeFS server, its command line client and its system tests.
package lakefstest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// startup bounds the time that a server takes to start on a busy machine.
const startup = 2 * time.Minute

// Config says how a server is started.
type Config struct {
	Blockstore s3test.Server // where the objects of repositories lie
	Authority  *Authority    // knows users and what they may do; nil: there is only Admin, who may do all
	Settings   []string      // environment variables, NAME=value, which come after those of the package
}

// Server is a running lakeFS server with a database of its own. It ends with its test.
type Server struct {
	Endpoint string // its URL, without a path

	programs string
	process  *process.Process
}

// Admin is who may do everything.
var Admin = User{Name: "admin", AccessKeyID: "AKIAIOSFODNN7ADMINQ", SecretAccessKey: "a-secret-of-the-admin-of-the-tests"}

// User is a user of lakeFS and the credentials of that user.
type User struct {
	Name            string
	AccessKeyID     string
	SecretAccessKey string
}

// Start starts a server and waits until it serves. Its log is shown if t fails.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	programs, err := Programs(t.Context())
	expect.NoError(t, err)
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	s := &Server{Endpoint: "http://" + address, programs: programs}
	home := t.TempDir()
	env := slices.Concat(c.env(t, home, address), c.Settings)
	s.process, err = process.Start(func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, "lakefs"), "run") //nolint:gosec,noctx // installed here; ends with t
		cmd.Dir, cmd.Env = home, process.Env(home, env...)
		return cmd
	})
	expect.NoError(t, err)
	t.Cleanup(func() {
		s.process.Kill()
		if t.Failed() {
			startup := regexp.MustCompile(`(?m)^.*phase=startup.*\n`) // all settings
			t.Logf("log of lakeFS, the last of it:\n%s", process.Tail(startup.ReplaceAllString(s.process.Output(), ""), 40))
		}
	})
	s.ready(t)
	return s
}

// Environment returns the settings of a server that keeps its own files in a directory, but for
// those of c.Authority and c.Settings.
func (c Config) Environment(home, address string) []string {
	return []string{
		"LAKEFS_LISTEN_ADDRESS=" + address,
		"LAKEFS_DATABASE_TYPE=local",
		"LAKEFS_DATABASE_LOCAL_PATH=" + filepath.Join(home, "metadata"),
		"LAKEFS_DATABASE_LOCAL_SYNC_WRITES=false",
		"LAKEFS_COMMITTED_LOCAL_CACHE_DIR=" + filepath.Join(home, "cache"),
		"LAKEFS_BLOCKSTORE_TYPE=s3",
		"LAKEFS_BLOCKSTORE_S3_REGION=us-east-1",
		"LAKEFS_BLOCKSTORE_S3_DISCOVER_BUCKET_REGION=false",
		"LAKEFS_BLOCKSTORE_S3_FORCE_PATH_STYLE=true",
		"LAKEFS_BLOCKSTORE_S3_ENDPOINT=" + c.Blockstore.Endpoint,
		"LAKEFS_BLOCKSTORE_S3_CREDENTIALS_ACCESS_KEY_ID=" + c.Blockstore.AccessKeyID,
		"LAKEFS_BLOCKSTORE_S3_CREDENTIALS_SECRET_ACCESS_KEY=" + c.Blockstore.SecretAccessKey,
		"LAKEFS_AUTH_ENCRYPT_SECRET_KEY=a key of the tests",
		"LAKEFS_AUTH_CACHE_ENABLED=false", // what changes is seen at once
		"LAKEFS_INSTALLATION_USER_NAME=" + Admin.Name,
		"LAKEFS_INSTALLATION_ACCESS_KEY_ID=" + Admin.AccessKeyID,
		"LAKEFS_INSTALLATION_SECRET_ACCESS_KEY=" + Admin.SecretAccessKey,
		// Nothing is sent to anybody.
		"LAKEFS_STATS_ENABLED=false",
		"LAKEFS_SECURITY_CHECK_LATEST_VERSION=false",
		"LAKEFS_SECURITY_AUDIT_CHECK_URL=http://" + address, // nothing is there
	}
}

func (c Config) env(t testing.TB, home, address string) []string {
	t.Helper()
	env := c.Environment(home, address)
	if c.Authority != nil {
		env = append(env, "LAKEFS_AUTH_UI_CONFIG_RBAC=simplified", "LAKEFS_AUTH_API_ENDPOINT="+c.Authority.serve(t))
	}
	return env
}

// ready waits until the server serves.
func (s *Server) ready(t testing.TB) {
	t.Helper()
	serving := await.Serving(s.Endpoint + "/_health")
	err := await.Until(t.Context(), startup, func(ctx context.Context) (bool, error) {
		select {
		case <-s.process.Done:
			return false, fmt.Errorf("it ended: %v", s.process.Cmd.ProcessState)
		default:
			return serving(ctx)
		}
	})
	if err != nil {
		t.Fatalf("lakeFS does not start: %v", err)
	}
}

// Restart kills the server as kill -9 does, and starts it again on its database.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	expect.NoError(t, s.process.Restart())
	s.ready(t)
}

// Lakectl runs lakectl as a user, and returns what it printed and its exit code. Endpoint is
// that of the server or of a proxy before it.
func Lakectl(t testing.TB, endpoint string, user User, args ...string) (output string, code int) {
	t.Helper()
	cmd := LakectlCommand(t, endpoint, user, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// LakectlCommand returns the command that Lakectl runs.
func LakectlCommand(t testing.TB, endpoint string, user User, args ...string) *exec.Cmd {
	t.Helper()
	programs, err := Programs(t.Context())
	expect.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "lakectl"), args...) //nolint:gosec // installed here
	cmd.Env = process.Env(t.TempDir(),
		"LAKECTL_SERVER_ENDPOINT_URL="+endpoint,
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID="+user.AccessKeyID,
		"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY="+user.SecretAccessKey,
	)
	return cmd
}
