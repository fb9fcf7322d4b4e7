package natsconn_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// A call that NATS denies ends long before the time for a call, with an error that names the
// subject. So do the health of the process, and its log.
func TestADeniedPermissionIsNamed(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{{Username: "coordinator", Password: "x"}, {Username: "worker", Password: "x", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"c.>"}},
		}}},
	})
	expect.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(expect.Patience) {
		t.Fatal("the server does not get ready")
	}
	queuetest.Connect(t, natsconn.Config{URL: s.ClientURL(), Login: natsconn.Login{User: "coordinator", Password: "x"}})
	var log transcript.Buffer
	b, err := backend.Connect(t.Context(), natsconn.Config{
		URL: s.ClientURL(), Login: natsconn.Login{User: "worker", Password: "x"}, Role: natsconn.Worker, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, backend.Options{})
	expect.NoError(t, err)
	defer b.Close()
	expect.NoError(t, b.Conn.Err())
	begun := time.Now()
	err = b.Covers.Publish(t.Context(), "i", "p", queuetest.Cover(1))
	if took := time.Since(begun); !errors.Is(err, nats.ErrPermissionViolation) || took > 3*natsconn.AttemptTimeout {
		t.Errorf("after %v: %v", took, err)
	}
	const subject = `Permissions Violation for Publish to "c.i.p"`
	for what, text := range map[string]string{"the error": err.Error(), "the health": b.Conn.Err().Error(), "the log": strings.ReplaceAll(log.String(), `\"`, `"`)} {
		if !strings.Contains(text, subject) {
			t.Errorf("%s does not name the subject: %s", what, text)
		}
	}
}
