package queue

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

// A try that met a server which stood still does not count.
func TestOnlyAnswersAreTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{cfg: Config{Timeout: time.Minute}, link: newLink(), metrics: newMetrics(nil)}
		const vain, answered = 3 * time.Second, time.Second
		var took time.Duration
		tries := 0
		err := q.retry(t.Context(), "read", timed(&took, func(ctx context.Context) error {
			if tries++; tries == 1 {
				return errors.Join(errors.New("no answer"), pause.For(ctx, vain))
			}
			return pause.For(ctx, answered)
		}))
		if err != nil || tries != 2 || took != answered {
			t.Errorf("%d tries, %v: %v counted, want %v", tries, err, took, answered)
		}
	})
}

// Only what will be answered the same again is not tried again.
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
		{"unavailable", refused(503, 10008), false},
		{"a stream that is not made yet", jetstream.ErrStreamNotFound, false},
		{"too late", context.DeadlineExceeded, false},
		{"conflict", ErrConflict, true},
		{"anything else", errors.New("anything else"), false},
	} {
		if got := permanent(tc.err); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
