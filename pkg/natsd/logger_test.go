package natsd

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/pause"
)

// Refused clients that try again and again do not fill the log.
func TestRefusalsAreLoggedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		l := newLogger(slog.New(slog.NewTextHandler(&text, nil)))
		for i := range 100 {
			client := "127.0.0.1:5 - cid:7"
			if i%2 == 0 {
				l.Errorf("%s - %s - User %q", client, server.ErrAuthentication, "x")
			} else {
				l.Errorf("%s - TLS handshake error: %v", client, "bad certificate")
			}
			expect.NoError(t, pause.For(t.Context(), logEvery/20))
		}
		l.Errorf("disk failed")
		if logged, failed := strings.Count(text.String(), "cid:7"), strings.Count(text.String(), "disk failed"); logged != 5 || failed != 1 {
			t.Errorf("in 50 s refusals were logged %d times, want 5, and another error %d times, want once", logged, failed)
		}
	})
}
