package natsd

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Refused clients that try again and again do not fill the log.
func TestRefusalsAreLoggedRarely(t *testing.T) {
	var text bytes.Buffer
	now := time.Now()
	l := logger{log: slog.New(slog.NewTextHandler(&text, nil)), refusals: &logLimiter{now: func() time.Time { return now }}}
	for i := range 100 {
		client := "127.0.0.1:5 - cid:7"
		if i%2 == 0 {
			l.Errorf("%s - %s - User %q", client, server.ErrAuthentication, "x")
		} else {
			l.Errorf("%s - TLS handshake error: %v", client, "bad certificate")
		}
		now = now.Add(logEvery / 20)
	}
	l.Errorf("disk failed")
	if logged, failed := strings.Count(text.String(), "cid:7"), strings.Count(text.String(), "disk failed"); logged != 5 || failed != 1 {
		t.Errorf("in 50 s refusals were logged %d times, want 5, and another error %d times, want once", logged, failed)
	}
}
