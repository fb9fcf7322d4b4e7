package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// TestAFleetSpeaksTLSWithAPassword has a coordinator demand both of a worker.
func TestAFleetSpeaksTLSWithAPassword(t *testing.T) {
	const password = "hunter2@of/fleet"
	ca := certs.New(t)
	s := config(t.TempDir())
	s.NATS.Listen, s.Workers = "127.0.0.1:0", 0
	s.NATS.User, s.NATS.Password = "fleet", settings.NewSecret(password)
	s.NATS.CertFile, s.NATS.KeyFile = ca.Issue("server")
	first := start(t, node.Coordinator, s)

	s = config("")
	s.NATS.URL = first.info.NATS
	s.NATS.User, s.NATS.Password, s.NATS.CAFile = "fleet", settings.NewSecret(password), ca.File
	s.Metrics.Listen = "127.0.0.1:0"
	w := start(t, node.Worker, s)
	expect.Eventually(t, "the worker is ready", func() bool {
		code, _ := w.ask("GET", "/readyz", "", "", "")
		return code == 200
	})
	w.end()
	first.end()
	for _, p := range []*process{first, w} {
		if text := p.log.String() + p.notices.String(); strings.Contains(text, password) || strings.Contains(text, "level=WARN") {
			t.Errorf("the password is shown, or a warning is logged:\n%s", text)
		}
	}
}

// TestAHangupReadsTheRulesAgain changes the rules while a coordinator runs: what they deny takes
// effect, and a file with an error does not.
func TestAHangupReadsTheRulesAgain(t *testing.T) {
	const deny = `
policies: [{id: Deny, statement: [{effect: deny, action: ["fs:ReadRepository"], resource: "*"}]}]
users: [{id: admin, policies: [Deny]}]
`
	s := config(t.TempDir())
	s.Auth = settings.Auth{AccessKeyID: "me", SecretAccessKey: settings.NewSecret("s3cr3t")}
	s.Access.File = filepath.Join(t.TempDir(), "rules.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.Access.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("users: [{id: '*'}]")
	if _, err := launch(t, node.Coordinator, s); err == nil || !strings.Contains(err.Error(), "access.file: ") || !strings.Contains(err.Error(), "rules.yaml:1: users[0].id") {
		t.Errorf("a file with an error: %v", err)
	}
	write("")
	p := start(t, node.Coordinator, s)
	defer p.end()
	p.expect(404, "GET", "/api/v1/repositories/unknown", "me", "s3cr3t", "")
	for _, step := range []struct{ text, series string }{
		{deny, `rangefleet_access_reloads_total{result="taken"} 1`},
		{"users: [{id: '*'}]", `rangefleet_access_reloads_total{result="refused"} 1`},
	} {
		write(step.text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		expect.Eventually(t, step.series, func() bool {
			_, text := p.ask("GET", "/metrics", "", "", "")
			return strings.Contains(text, step.series+"\n")
		})
		if code, text := p.ask("GET", "/api/v1/repositories/unknown", "me", "s3cr3t", ""); code != 401 || !strings.Contains(text, "denied permission to fs:ReadRepository") {
			t.Errorf("what the rules deny: %d %s", code, text)
		}
	}
	if log := p.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "rules.yaml:1: users[0].id") {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
}
