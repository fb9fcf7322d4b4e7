package peers

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func registry(q *backend.Backend, id string) *Registry {
	return New(Config{Leases: q.Leases, ID: id, Holder: "test", Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
}

// run runs r until the function that it returns is called.
func run(r *Registry) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// TestPeersSeeEachOther registers two coordinators and deregisters one.
func TestPeersSeeEachOther(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	a, b := registry(q, "a"), registry(q, "b")
	if a.Alone() {
		t.Error("a coordinator that has not looked yet is alone")
	}
	alive := func() []string {
		ids, err := a.Alive(t.Context())
		expect.NoError(t, err)
		return ids
	}
	if got := alive(); !slices.Equal(got, []string{"a"}) || !a.Alone() {
		t.Errorf("without a lease: %q are alive, want a", got)
	}
	stopA, stopB := run(a), run(b)
	defer stopA()
	expect.Eventually(t, "b is registered", func() bool { return slices.Contains(alive(), "b") })
	if a.Alone() {
		t.Error("one of two coordinators is alone")
	}
	stopB()
	if got := alive(); !slices.Equal(got, []string{"a"}) || !a.Alone() {
		t.Errorf("after b has deregistered %q are alive, want a", got)
	}
}

// TestALostLeaseIsTakenAgain removes the lease of a coordinator that runs.
func TestALostLeaseIsTakenAgain(t *testing.T) {
	t.Parallel()
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{LeaseTTL: time.Second})
	r := registry(q, "a")
	stop := run(r)
	defer stop()
	held := func() bool {
		names, err := q.Leases.Held(t.Context(), leasePrefix)
		expect.NoError(t, err)
		return len(names) == 1
	}
	expect.Eventually(t, "the lease is held", held)
	bucket := q.Bucket("leases")
	expect.Eventually(t, "the lease is removed", func() bool { // unless it is renewed at the same moment
		_, rev, err := bucket.Get(t.Context(), leasePrefix+"a")
		expect.NoError(t, err)
		return bucket.Delete(t.Context(), leasePrefix+"a", rev) == nil
	})
	expect.Eventually(t, "the lease is held again", held)
}

// TestAnErrorOfTheQueueIsLogged closes the connection under a coordinator.
func TestAnErrorOfTheQueueIsLogged(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	var text transcript.Buffer
	r := registry(q, "a")
	r.cfg.Log = slog.New(slog.NewTextHandler(&text, nil))
	q.Close()
	stop := run(r)
	defer stop()
	expect.Eventually(t, "the error is logged", func() bool { return strings.Contains(text.String(), `msg="register as a coordinator"`) })
	if _, err := r.Alive(t.Context()); err == nil {
		t.Error("peers are known without a connection")
	}
}
