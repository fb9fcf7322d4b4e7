package node

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWhatAWorkerTellsOfItself(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
		text string
	}{
		{nil, http.StatusOK, ""},
		{errors.New("NATS is out of reach"), http.StatusServiceUnavailable, "NATS is out of reach\n"},
	} {
		answer := httptest.NewRecorder()
		told(func() error { return tc.err })(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
		if answer.Code != tc.code || answer.Body.String() != tc.text {
			t.Errorf("%v is told as %d %q, want %d %q", tc.err, answer.Code, answer.Body.String(), tc.code, tc.text)
		}
	}
}
