package natsconn_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func connect(t *testing.T, d *queuetest.Door) *natsconn.Conn {
	t.Helper()
	c, err := natsconn.Connect(t.Context(), natsconn.Config{URL: d.URL, Log: slog.New(slog.DiscardHandler)})
	expect.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// While the password of a cluster is changed, its clients are refused for a while.
func TestARefusedConnectionIsRetried(t *testing.T) {
	d := queuetest.OpenDoor(t)
	c := connect(t, d)
	d.Shut("Authorization Violation")
	expect.NoError(t, c.NATS.Publish("anything", nil))
	expect.Eventually(t, "refused five times", func() bool { return d.Refused() >= 5 })
	if c.NATS.IsConnected() {
		t.Error("connected to a server that refuses it")
	}
	d.Open()
	expect.Eventually(t, "connected again", c.NATS.IsConnected)
}

// An error that the client does not know ends the connection, and Wait returns it.
func TestWaitReturnsTheErrorThatEndedTheConnection(t *testing.T) {
	d := queuetest.OpenDoor(t)
	c := connect(t, d)
	ended := make(chan error, 1)
	go func() { ended <- c.Wait(context.WithoutCancel(t.Context())) }()
	d.Shut("No Such Word")
	expect.NoError(t, c.NATS.Publish("anything", nil))
	err := expect.Received(t, "the end of the connection", ended)
	if err == nil || !strings.Contains(err.Error(), "No Such Word") {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestWaitEndsWithContextAndClose(t *testing.T) {
	d := queuetest.OpenDoor(t)
	c := connect(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx); err != nil {
		t.Errorf("Wait ended with its context: %v", err)
	}
	c.Close()
	if err := c.Wait(t.Context()); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
}
