package node_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
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

// untilWarned ends what logs a warning, as a client does that is refused and would try again.
type untilWarned struct{ end func() }

func (u untilWarned) Write(p []byte) (int, error) {
	u.end()
	return len(p), nil
}

// TestTheCertificatesOfTheEmbeddedServerAreReplaced has a coordinator demand certificates of workers.
// Then its files are those of another authority.
func TestTheCertificatesOfTheEmbeddedServerAreReplaced(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"server.pem": "", "server.key": "", "ca.pem": ""}
	install := func(ca *certs.Authority) natsconn.Login {
		t.Helper()
		files["server.pem"], files["server.key"] = ca.Issue("server")
		files["ca.pem"] = ca.File
		for name, from := range files {
			content, err := os.ReadFile(from)
			expect.NoError(t, err)
			expect.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		}
		l := natsconn.Login{CAFile: ca.File}
		l.CertFile, l.KeyFile = ca.Issue("client")
		return l
	}
	first := install(certs.New(t))
	s := config(t.TempDir())
	s.NATS.Listen, s.Workers = "127.0.0.1:0", 0
	s.NATS.CertFile, s.NATS.KeyFile, s.NATS.CAFile = filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"), filepath.Join(dir, "ca.pem")
	p := start(t, node.Coordinator, s)
	letIn := func(l natsconn.Login) bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		log := slog.New(slog.NewTextHandler(untilWarned{cancel}, &slog.HandlerOptions{Level: slog.LevelWarn}))
		b, err := backend.Connect(ctx, natsconn.Config{URL: p.info.NATS, Role: natsconn.Worker, Login: l, Log: log}, backend.Options{})
		if err == nil {
			b.Close()
		}
		return err == nil
	}
	if !letIn(first) {
		t.Fatal("a worker is not let in")
	}
	second := install(certs.New(t))
	expect.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	expect.Eventually(t, "a worker of the new authority is let in", func() bool { return letIn(second) })
	if letIn(first) {
		t.Error("a worker of the old authority is let in")
	}
	if _, text := p.ask("GET", "/metrics", "", "", ""); !strings.Contains(text, `rangefleet_certificate_reloads_total{fleet="test",result="taken",use="nats"} 1`) {
		t.Errorf("the metrics do not count the reload:\n%s", text)
	}
	s.NATS.CAFile = filepath.Join(dir, "server.key")
	s.NATS.StoreDir = t.TempDir()
	if err := node.Coordinator(t.Context(), node.Env{Settings: s, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "server.key has no certificate") {
		t.Errorf("a key in place of the authority: %v", err)
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
		{deny, `rangefleet_access_reloads_total{fleet="test",result="taken"} 1`},
		{"users: [{id: '*'}]", `rangefleet_access_reloads_total{fleet="test",result="refused"} 1`},
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
