package worker_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// TestMessagesOfARange counts the messages to and from NATS for an import of many ranges,
// while one worker lists it and one coordinator follows its covers.
func TestMessagesOfARange(t *testing.T) {
	breaks := partition.Breaks{MaxSize: 1 << 20, Raggedness: 5}
	source, want := numbered(t, 10_000, breaks)
	server := startServer(t)
	follower, worker := prometheus.NewRegistry(), prometheus.NewRegistry()
	f := newFleet(t, connect(t, natsconn.Config{InProcess: server, Registerer: follower}), source)
	f.record("id", breaks)
	f.runOn(connect(t, natsconn.Config{InProcess: server, Registerer: worker}), 1, prometheus.NewRegistry())
	expect.Eventually(t, "the worker waits", func() bool { return f.worker.Ready() == nil })
	sent, received := counted(t, worker, "sent"), counted(t, worker, "received")
	allSent, allReceived := sent+counted(t, follower, "sent"), received+counted(t, follower, "received")
	begun := time.Now()
	f.publish(whole("id"))
	f.covers("id")
	seconds := time.Since(begun).Seconds()
	sentAfter, receivedAfter := counted(t, worker, "sent"), counted(t, worker, "received")
	n := float64(len(want))
	for _, c := range []struct {
		what            string
		messages        int64
		each, perSecond float64 // bounds
	}{
		{"sent by the worker: a cover", sentAfter - sent, 1, 10},
		{"received by the worker: that it is stored", receivedAfter - received, 1, 20},
		{"sent by anybody", sentAfter + counted(t, follower, "sent") - allSent, 1, 30},
		{"received by anybody: besides, a hint and the cover", receivedAfter + counted(t, follower, "received") - allReceived, 3, 60},
	} {
		t.Logf("%.3f messages a range are %s", float64(c.messages)/n, c.what)
		if bound := c.each*n + c.perSecond*seconds + 100; float64(c.messages) > bound {
			t.Errorf("%d messages of %d ranges are %s, want at most %.0f", c.messages, len(want), c.what, bound)
		}
	}
}

// counted returns how many messages a connection has sent or received.
func counted(t *testing.T, metrics *prometheus.Registry, what string) int64 {
	t.Helper()
	return int64(measured.Sum(t, metrics, "rangefleet_nats_messages_"+what+"_total"))
}

// TestWorkRedoneAfterAKill kills a worker in the middle of an import by closing its
// connection, and counts the ranges that are stored twice.
func TestWorkRedoneAfterAKill(t *testing.T) {
	const uploads = 2 // of a partition, in flight
	breaks := partition.Breaks{MaxSize: 1 << 20, Raggedness: 50}
	source, want := numbered(t, 4000, breaks)
	source.PageSize = page
	server := startServer(t)
	config, opts := natsconn.Config{InProcess: server}, backend.Options{Queue: queue.Config{AckWait: time.Second}}
	f := newFleet(t, connect(t, config, opts), source)
	parts := rangetest.Plan("id", []string{"dir/001000", "dir/002000", "dir/003000"})
	var mu sync.Mutex
	stored := map[string]int{}
	var puts atomic.Int64
	victim := make(chan struct{}, 1)
	f.buckets["repo"].Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op != "put" {
			return nil
		}
		if puts.Add(1) == int64(len(want)/2) {
			victim <- struct{}{}
		}
		mu.Lock()
		defer mu.Unlock()
		stored[c.Key]++
		return nil
	}
	f.record("id", breaks)
	dying := connect(t, config, opts)
	f.runOn(dying, len(parts), prometheus.NewRegistry())
	f.publish(parts...)
	expect.Received(t, "half of the ranges", victim)
	dying.Close()
	for range 3 {
		f.runOn(connect(t, config, opts), 1, prometheus.NewRegistry())
	}
	f.covered("id", want)
	f.idle("id")
	again := 0
	for _, n := range stored {
		again += n - 1
	}
	t.Logf("%d of %d ranges were stored again, of %d partitions that the dead worker had", again, len(want), len(parts))
	if again > uploads*len(parts) {
		t.Errorf("%d ranges were stored again, want at most those in flight: %d of each of %d partitions", again, uploads, len(parts))
	}
}
