package coordinator

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// Partitions that are given back with a delay of an hour are in the same state as those
// that a NATS server whose clock was an hour ahead has delivered to workers that died.
func TestPartitionsOfAClockThatWasAheadAreFreed(t *testing.T) {
	t.Parallel()
	source, entries := numbered(1000)
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{Queue: queue.Config{AckWait: 500 * time.Millisecond}})
	f := fleetOn(t, q, q.Bucket(kv.BucketImports), q.Bucket(kv.BucketCatalog), source)
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/000300", "dir/000600")
	f.run(func(ctx context.Context) { _ = s.drive(ctx, id) })
	taker := q.Queue.Puller(queue.Bulk)
	for range f.planned(id) {
		ctx, cancel := context.WithTimeout(t.Context(), expect.Patience)
		task, err := taker.Pull(ctx)
		cancel()
		expect.NoError(t, err)
		expect.NoError(t, task.Nak(t.Context(), time.Hour))
	}
	f.work(1)
	expect.Eventually(t, "the import ends", func() bool {
		f.clock.Add(int64(stalledFor / 2))
		expect.NoError(t, s.watch.survey(t.Context()))
		r, err := f.imports.Get(t.Context(), id)
		return err == nil && r.State.Ended()
	})
	f.completed(id)
	f.expectTree(entries)
}
