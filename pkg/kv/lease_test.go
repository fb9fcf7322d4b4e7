package kv_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestLeaseExcludesRenewsAndReleases(t *testing.T) {
	t.Parallel()
	const ttl = 4 * time.Second // a busy machine may well lose a third of it
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{LeaseTTL: ttl})
	ctx := t.Context()
	lease, err := q.Leases.Acquire(ctx, "import/x", "one")
	expect.NoError(t, err)
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	for start := time.Now(); time.Since(start) < ttl*3/2; { // without renewal it would have expired
		<-beat.C
		if _, err := q.Leases.Acquire(ctx, "import/x", "two"); !errors.Is(err, kv.ErrHeld) {
			t.Fatalf("second Acquire: %v, want ErrHeld", err)
		}
	}
	if other, err := q.Leases.Acquire(ctx, "import/y", "two"); err != nil {
		t.Errorf("Acquire of another name: %v", err)
	} else if err := other.Release(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-lease.Lost():
		t.Fatal("lost although it was renewed")
	default:
	}
	expect.NoError(t, lease.Release(ctx))
	second, err := q.Leases.Acquire(ctx, "import/x", "two")
	if err != nil {
		t.Fatalf("Acquire after Release: %v", err)
	}
	if err := lease.Release(ctx); err != nil { // must not free what is not its own
		t.Fatal(err)
	}
	if _, err := q.Leases.Acquire(ctx, "import/x", "three"); !errors.Is(err, kv.ErrHeld) {
		t.Errorf("Acquire: %v, want ErrHeld", err)
	}
	if err := second.Release(ctx); err != nil {
		t.Error(err)
	}
}

func TestLeaseIsLostWithoutNATSAndExpires(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, login := queuetest.StartListening(t, dir, "127.0.0.1:0")
	url := server.ClientURL()
	q := queuetest.Connect(t, natsconn.Config{URL: url, Login: login}, backend.Options{LeaseTTL: 300 * time.Millisecond})
	lease, err := q.Leases.Acquire(t.Context(), "x", "one")
	expect.NoError(t, err)
	expect.NoError(t, server.Shutdown())
	expect.Received(t, "the loss of the lease", lease.Lost())
	queuetest.StartListening(t, dir, strings.TrimPrefix(url, "nats://"))
	expect.Eventually(t, "the lease is free", func() bool {
		second, err := q.Leases.Acquire(t.Context(), "x", "two")
		if err != nil && !errors.Is(err, kv.ErrHeld) {
			t.Fatal(err)
		}
		if err == nil {
			_ = second.Release(t.Context())
		}
		return err == nil
	})
}

// TestALeaseThatNATSDoesNotFree has NATS keep leases for an hour, as it does if a server
// whose clock was ahead stamped them.
func TestALeaseThatNATSDoesNotFree(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server}, backend.Options{LeaseTTL: time.Second})
	gone := queuetest.Connect(t, natsconn.Config{InProcess: server}, backend.Options{LeaseTTL: time.Hour}) // renews nothing during the test
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		if _, err := gone.Leases.Acquire(ctx, name, "gone"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Leases.Acquire(ctx, "a", "next"); !errors.Is(err, kv.ErrHeld) {
		t.Fatalf("Acquire at first: %v, want ErrHeld", err)
	}
	held := func(q *backend.Backend) []string {
		names, err := q.Leases.Held(ctx, "")
		expect.NoError(t, err)
		return names
	}
	if got := held(q); len(got) != 2 {
		t.Fatalf("held: %q", got)
	}
	var lease *kv.Lease
	expect.Eventually(t, "a lease that was not renewed is free", func() bool {
		var err error
		lease, err = q.Leases.Acquire(ctx, "a", "next")
		return err == nil
	})
	expect.Eventually(t, "the other lease is free", func() bool { return len(held(q)) == 1 })
	other := queuetest.Connect(t, natsconn.Config{InProcess: server}, backend.Options{LeaseTTL: time.Hour}) // has observed no lease yet
	if got := held(other); len(got) != 1 || got[0] != "a" {
		t.Errorf("there are %q, want the one that was taken", got)
	}
	expect.NoError(t, lease.Release(ctx))
}
