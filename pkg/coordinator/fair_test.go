package coordinator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestASmallImportAmongManyBigOnes starts 199 imports, and then one of a single page, which
// must end while most of the others run.
func TestASmallImportAmongManyBigOnes(t *testing.T) {
	const bigs = 199
	source := &memstore.Store{PageSize: 100}
	var keys []string
	for i := range 1500 {
		keys = append(keys, fmt.Sprintf("big/%06d", i))
	}
	source.Add(keys...)
	for i := range source.PageSize {
		source.Add(fmt.Sprintf("small/%06d", i))
	}
	slow := func(ctx context.Context, _ memstore.Call) error {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
		return nil
	}
	source.Hook = slow
	f := newFleet(t, source)
	f.config.Breaks.Raggedness, f.config.Breaks.MaxSize = 500, 100_000
	s, _ := f.serve()
	f.work(4)
	f.work(4)
	var ids []string
	for i := range bigs {
		ids = append(ids, f.start(s, request("big/", fmt.Sprintf("big-%d", i))))
	}
	begun := time.Now()
	r := f.completed(f.start(s, request("small/", "small")))
	took := time.Since(begun)
	running := 0
	for _, id := range ids {
		big := f.record(id)
		if big.State == imports.Running {
			running++
		}
	}
	t.Logf("the small import took %v; %d of %d others were still running", took, running, bigs)
	if r.Objects != int64(source.PageSize) || running < bigs/2 {
		t.Errorf("%d objects; only %d of %d imports still ran when the small one ended", r.Objects, running, bigs)
	}
	for _, id := range ids {
		f.completed(id)
	}
	t.Logf("all took %v", time.Since(begun))
}

// TestAFullQueueFailsNoImport runs five imports with a queue that takes one partition.
func TestAFullQueueFailsNoImport(t *testing.T) {
	t.Parallel()
	source, _ := numbered(2000)
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{Queue: queue.Config{MaxQueued: 1}})
	f := fleetOver(t, q, source)
	s, _ := f.serve()
	var ids []string
	for i := range 5 {
		ids = append(ids, f.start(s, request("", fmt.Sprint("copy", i))))
	}
	expect.Eventually(t, "an import waits for room", func() bool {
		for _, id := range ids {
			if r, err := f.imports.Get(t.Context(), id); err == nil && strings.Contains(r.Problem, queue.ErrFull.Error()) {
				return true
			}
		}
		return false
	})
	f.work(2)
	for _, id := range ids {
		f.completed(id)
	}
}
