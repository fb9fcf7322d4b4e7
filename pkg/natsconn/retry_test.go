package natsconn

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/pause"
)

// A failed attempt is not measured.
func TestTimedMeasuresSuccesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConn(Config{Timeout: time.Minute})
		const failing, answered = 3 * time.Second, time.Second
		var took time.Duration
		attempts := 0
		err := c.Retry(t.Context(), "read", Timed(&took, func(ctx context.Context) error {
			if attempts++; attempts == 1 {
				return errors.Join(errors.New("no answer"), pause.For(ctx, failing))
			}
			return pause.For(ctx, answered)
		}))
		if err != nil || attempts != 2 || took != answered {
			t.Errorf("%d attempts, %v: %v measured, want %v", attempts, err, took, answered)
		}
	})
}

// A call is retried unless it would get the same answer again.
func TestPermanent(t *testing.T) {
	refused := func(code int, err jetstream.ErrorCode) error {
		return fmt.Errorf("a call: %w", &jetstream.APIError{Code: code, ErrorCode: err})
	}
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"bad request", refused(400, jetstream.JSErrCodeBadRequest), true},
		{"a cluster that has not come together", refused(400, noPeers), false},
		{"unavailable", refused(503, notAvailable), false},
		{"a stream that is not made yet", jetstream.ErrStreamNotFound, false},
		{"too late", context.DeadlineExceeded, false},
		{"final", Final(errors.New("a conflict")), true},
		{"anything else", errors.New("anything else"), false},
	} {
		if got := permanent(tc.err); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
