package node_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// A coordinator records in a file what it is asked to change, and all of it by its end.
func TestCoordinatorsKeepAnAuditLog(t *testing.T) {
	t.Parallel()
	s := config(t.TempDir())
	s.Audit.Log = filepath.Join(t.TempDir(), "audit.log")
	s.Auth = settings.Auth{AccessKeyID: "me", SecretAccessKey: settings.NewSecret("my secret")}
	p := start(t, node.Coordinator, s)
	for _, secret := range []string{"my secret", "another"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, p.info.API+"/api/v1/repositories/none", nil)
		expect.NoError(t, err)
		req.SetBasicAuth("me", secret)
		resp, err := http.DefaultClient.Do(req)
		expect.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		expect.NoError(t, resp.Body.Close())
	}
	p.end()
	text, err := os.ReadFile(s.Audit.Log)
	expect.NoError(t, err)
	const failed, denied = `"user":"admin","credential":{"kind":"access_key","id":"me"},"client":"127.0.0.1","repository":"none","outcome":"failed","code":404,"reason":"repository not found"}`,
		`"client":"127.0.0.1","repository":"none","outcome":"denied","code":401,"reason":"error authenticating request"}`
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], failed) || !strings.HasSuffix(lines[1], denied) {
		t.Errorf("%s", text)
	}
}
