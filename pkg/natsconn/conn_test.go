package natsconn_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

func TestConnectEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	q, err := natsconn.Connect(ctx, natsconn.Config{URL: "nats://127.0.0.1:1", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		q.Close()
		t.Fatal("connected to a closed port")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect: %v, want context.DeadlineExceeded", err)
	}
}
