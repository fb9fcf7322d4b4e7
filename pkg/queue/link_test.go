package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func connect(t *testing.T, d *queuetest.Door) *queue.Queue {
	t.Helper()
	q, err := queue.Connect(t.Context(), queue.Config{URL: d.URL, Log: slog.New(slog.DiscardHandler)})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	return q
}

// While somebody changes the password of a cluster its clients are refused, again
// and again. That ends.
func TestARefusedConnectionIsTriedAgain(t *testing.T) {
	d := queuetest.OpenDoor(t)
	q := connect(t, d)
	d.Shut("Authorization Violation")
	expect.NoError(t, q.Tell("anything", nil))
	expect.Eventually(t, "refused five times", func() bool { return d.Refused() >= 5 })
	if q.Connected() {
		t.Error("connected to who refuses it")
	}
	d.Open()
	expect.Eventually(t, "connected again", q.Connected)
}

// What the client has no word for ends it, and is told to whoever waits for that.
func TestAConnectionThatIsOverIsTold(t *testing.T) {
	d := queuetest.OpenDoor(t)
	q := connect(t, d)
	ended := make(chan error, 1)
	go func() { ended <- q.Wait(context.WithoutCancel(t.Context())) }()
	d.Shut("No Such Word")
	expect.NoError(t, q.Tell("anything", nil))
	err := expect.Received(t, "the end of the connection", ended)
	if err == nil || !strings.Contains(err.Error(), "No Such Word") {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestWaitEndsWithContextAndClose(t *testing.T) {
	d := queuetest.OpenDoor(t)
	q := connect(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Wait(ctx); err != nil {
		t.Errorf("Wait ended with its context: %v", err)
	}
	q.Close()
	if err := q.Wait(t.Context()); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
}
