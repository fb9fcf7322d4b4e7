package node_test

import (
	"strings"
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
