package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

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
