package node

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestHealthOfAWorker(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
		text string
	}{
		{nil, http.StatusOK, ""},
		{errors.New("NATS is out of reach"), http.StatusServiceUnavailable, "NATS is out of reach\n"},
	} {
		answer := httptest.NewRecorder()
		healthCheck(func() error { return tc.err })(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		if answer.Code != tc.code || answer.Body.String() != tc.text {
			t.Errorf("%v is answered with %d %q, want %d %q", tc.err, answer.Code, answer.Body.String(), tc.code, tc.text)
		}
	}
}

// A request learns in time that NATS does not respond.
func TestRequestsWaitLessForNATS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: queuetest.Mute{}, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
		expect.NoError(t, err)
		defer q.Close()
		begun := time.Now()
		_, err = requestState(q).Imports.IDs(t.Context())
		if took := time.Since(begun); err == nil || took != natsWait {
			t.Errorf("%v after %v, want an error after %v", err, took, natsWait)
		}
	})
}
