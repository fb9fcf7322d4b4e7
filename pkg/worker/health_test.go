package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func newTestWorker(q *backend.Backend) *Worker {
	return New(Config{
		Backend: q, Imports: imports.NewStore(q.Bucket(kv.BucketImports)), Slots: 2,
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
}

// start runs the worker until the function that it returns is called.
func (w *Worker) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func wants(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want %q", err, text)
	}
}

func TestReady(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: server, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
	expect.NoError(t, err)
	defer q.Close()
	w := newTestWorker(q)
	wants(t, w.Ready(), "does not run")
	stop := w.start(t)
	expect.Eventually(t, "the worker runs", func() bool { err := w.Ready(); return err != nil && !strings.Contains(err.Error(), "does not run") })
	wants(t, w.Ready(), "a coordinator makes it")
	expect.NoError(t, w.Live())
	expect.NoError(t, q.Ensure(t.Context()))
	expect.Eventually(t, "it is ready", func() bool { return w.Ready() == nil })
	stop()
	wants(t, w.Ready(), "told to stop")

	w = newTestWorker(q)
	w.start(t)
	expect.Eventually(t, "another one is ready", func() bool { return w.Ready() == nil })
	expect.NoError(t, server.Shutdown())
	expect.Eventually(t, "it is not ready without NATS", func() bool {
		err := w.Ready() // at first it says that the queue was not reached
		return err != nil && strings.Contains(err.Error(), "NATS is out of reach")
	})
	expect.NoError(t, w.Live())
}

// A worker whose NATS stores nothing takes no partitions either.
func TestReadyWithoutAQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: queuetest.Mute{}, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
		expect.NoError(t, err)
		defer q.Close()
		w := newTestWorker(q)
		stop := w.start(t)
		synctest.Wait()
		wants(t, w.Ready(), "a coordinator makes it") // it has asked, and may still be answered
		expect.Eventually(t, "it says why", func() bool { return strings.Contains(w.Ready().Error(), "no quorum") })
		expect.NoError(t, w.Live())
		stop()
	})
}

func TestLive(t *testing.T) {
	w := newTestWorker(queuetest.Start(t))
	expect.NoError(t, w.Live())
	at := time.Now()
	w.now = func() time.Time { return at }
	s := w.slots[1]
	s.take(&queue.Task{}, at)
	pass := func(d time.Duration) {
		at = at.Add(d)
		for _, other := range w.slots {
			if other != s {
				other.progress.set(at)
			}
		}
	}
	pass(stuck)
	expect.NoError(t, w.Live())
	pass(time.Second)
	wants(t, w.Live(), "slot 1 has a partition that gets no further since 10m1s")
	s.progress.set(at)
	expect.NoError(t, w.Live())
	at = at.Add(stuck + 1)
	wants(t, w.Live(), "slot 0 does not ask for partitions any more")
}

// TestAFleetOfAnotherVersionIsRefused has a worker join a fleet whose queue is of a later
// version.
func TestAFleetOfAnotherVersionIsRefused(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	queuetest.Connect(t, natsconn.Config{InProcess: server, Protocol: natsconn.Protocol + 1})
	q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: server, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
	expect.NoError(t, err)
	defer q.Close()
	w := newTestWorker(q)
	w.start(t)
	expect.Eventually(t, "the worker sees the version", func() bool { return errors.Is(w.Ready(), natsconn.ErrProtocol) })
	wants(t, w.Ready(), fmt.Sprintf("version %d and this process speaks %d; this process is the older one: upgrade it",
		natsconn.Protocol+1, natsconn.Protocol))
	expect.NoError(t, w.Live())
}

// TestAPartitionOfAnotherVersionIsLeft has a worker pull a partition of a later version, and
// then one of its own version.
func TestAPartitionOfAnotherVersionIsLeft(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	newer, err := backend.Connect(t.Context(), natsconn.Config{InProcess: server, Protocol: natsconn.Protocol + 1, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
	expect.NoError(t, err)
	defer newer.Close()
	w := newTestWorker(q)
	w.start(t)
	expect.Eventually(t, "the worker is ready", func() bool { return w.Ready() == nil })
	expect.NoError(t, newer.Queue.Publish(t.Context(), queue.Bulk, partition.Whole("newer")))
	expect.Eventually(t, "it refuses the partition", func() bool { return errors.Is(w.Ready(), natsconn.ErrProtocol) })
	expect.NoError(t, w.Live())
	if n, err := q.Queue.OutstandingCount(t.Context(), "newer"); err != nil || n != 1 {
		t.Errorf("%d partitions are left, %v, want the one that was refused", n, err)
	}
	expect.NoError(t, q.Queue.Publish(t.Context(), queue.Bulk, partition.Whole("own"))) // its import does not exist: it is dropped
	expect.Eventually(t, "it goes on with its own", func() bool {
		n, err := q.Queue.OutstandingCount(t.Context(), "own")
		return err == nil && n == 0
	})
}
