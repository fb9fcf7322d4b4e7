package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestPublishIsIdempotentWhileQueuedAndRunning(t *testing.T) {
	q := queuetest.Start(t)
	a, b := part("imp", "a"), part("imp", "b")
	publish(t, q, a, b, a, part("other", "a"), a)
	if got := queuetest.Outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{a, b}) {
		t.Fatalf("Outstanding = %+v", got)
	}
	task := pull(t, q)
	if task.Partition != a || task.Deliveries != 1 || task.AckWait != 15*time.Second {
		t.Fatalf("pulled %+v", task)
	}
	publish(t, q, a) // running
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 2 {
		t.Fatalf("Outstanding = %+v while one runs", got)
	}
	expect.NoError(t, task.Ack(t.Context()))
	if got := queuetest.Outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{b}) {
		t.Fatalf("Outstanding after Ack = %+v", got)
	}
	publish(t, q, a) // once it is acknowledged it may be queued again
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 2 {
		t.Fatalf("Outstanding = %+v after publishing anew", got)
	}
}

func TestPartitionWithoutHeartbeatIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	reg := prometheus.NewRegistry()
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), Registerer: reg}, backend.Options{Queue: queue.Config{AckWait: ackWait}})
	publish(t, q, part("imp", "a"))
	first := pull(t, q)
	again := startPull(t, q)
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	var longest time.Duration // without a heartbeat
	for start, last := time.Now(), time.Now(); time.Since(start) < 2*ackWait; last = time.Now() {
		<-beat.C
		expect.NoError(t, first.Extend())
		longest = max(longest, time.Since(last))
	}
	var second *queue.Task
	select {
	case second = <-again:
		if longest < ackWait {
			t.Fatalf("delivered again in spite of heartbeats, %s apart at most", longest)
		}
	default:
		second = expect.Received(t, "the second delivery", again)
	}
	if second.Deliveries != 2 || second.Partition != first.Partition {
		t.Fatalf("second delivery: %+v", second)
	}
	expect.NoError(t, second.Ack(t.Context()))
	if err := first.Ack(t.Context()); err != nil {
		t.Errorf("late Ack: %v, want it harmless", err)
	}
	if got := measured.Sum(t, reg, "rangefleet_queue_redeliveries_total"); got != 1 {
		t.Errorf("redeliveries = %v, want 1", got)
	}
}

func TestNakDeliversAfterDelay(t *testing.T) {
	q := queuetest.Start(t) // AckWait is far longer than this test
	publish(t, q, part("imp", "a"))
	start := time.Now()
	expect.NoError(t, pull(t, q).Nak(t.Context(), 200*time.Millisecond))
	if task := pull(t, q); task.Deliveries != 2 || time.Since(start) < 200*time.Millisecond {
		t.Errorf("delivery %d after %s", task.Deliveries, time.Since(start))
	}
}

func TestTwoConsumersShareTheQueue(t *testing.T) {
	const n = 40
	server, login := queuetest.StartListening(t, t.TempDir(), "127.0.0.1:0")
	q := queuetest.Connect(t, natsconn.Config{InProcess: server, Login: queuetest.Inside(server)})
	other := queuetest.Connect(t, natsconn.Config{URL: server.ClientURL(), Login: login, Name: "worker @ 2"})
	for i := range n {
		publish(t, q, part("imp", fmt.Sprint(i)))
	}
	var (
		mu   sync.Mutex
		seen = map[string]int{}
		wg   sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, worker := range []*backend.Backend{q, other} {
		for range 2 {
			wg.Go(func() {
				for {
					task, err := worker.Queue.Puller(queue.Bulk).Pull(ctx)
					if err != nil {
						return
					}
					if err := task.Ack(ctx); err != nil {
						t.Error(err)
					}
					mu.Lock()
					if seen[task.Partition.ID]++; len(seen) == n {
						cancel()
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for id, times := range seen {
		if times != 1 {
			t.Errorf("partition %s delivered %d times", id, times)
		}
	}
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding = %+v", got)
	}
}

func TestPullEndsWithContext(t *testing.T) {
	q := queuetest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := q.Queue.Puller(queue.Bulk).Pull(ctx)
		ended <- err
	}()
	cancel()
	if err := expect.Received(t, "the end of Pull", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Pull: %v, want context.Canceled", err)
	}
}

func TestPullWaitsForCoordinator(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	worker, err := backend.Connect(t.Context(), natsconn.Config{InProcess: server, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
	expect.NoError(t, err)
	defer worker.Close()
	got := startPull(t, worker)
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	publish(t, q, part("imp", "a"))
	if task := expect.Received(t, "a partition", got); task.Partition.ID != "a" {
		t.Errorf("pulled %+v", task)
	}
}
