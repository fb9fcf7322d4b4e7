package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// TestAStoreThatHangsStopsNoOther has twelve imports of a bucket that hangs occupy all
// slots of four workers. An import of another bucket, which comes last, is listed all the
// same. Once the first bucket answers, the twelve are listed, too, and none of their
// deliveries has failed.
func TestAStoreThatHangsStopsNoOther(t *testing.T) {
	for _, slots := range []int{1, 2} {
		t.Run(fmt.Sprint(slots, " slots"), func(t *testing.T) {
			t.Parallel()
			hangs(t, slots)
		})
	}
}

func hangs(t *testing.T, slots int) {
	const workers, neighbours = 4, 12
	hanging, wantHanging := numbered(t, 600, small)
	hanging.PageSize = page
	answers := make(chan struct{})
	hanging.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op != "page" {
			return nil
		}
		select {
		case <-answers:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	q := connect(t, natsconn.Config{InProcess: startServer(t)}, backend.Options{Queue: queue.Config{AckWait: time.Second}})
	f := newFleet(t, q, hanging)
	f.stall = 50 * time.Millisecond
	healthy, _ := numbered(t, 2000, small)
	healthy.PageSize = page
	f.buckets["healthy"] = healthy
	var texts sync.Map
	expect.NoError(t, q.Gossip.ListenProblems(t.Context(), func(t gossip.Problem) { texts.Store(t.ImportID+" "+t.Text, true) }))
	var ids []string
	for i := range neighbours {
		ids = append(ids, fmt.Sprint("hangs", i))
		f.record(ids[i], small)
		f.publish(whole(ids[i]))
	}
	var metrics []*prometheus.Registry
	for range workers {
		metrics = append(metrics, prometheus.NewRegistry())
		f.runOn(q, slots, metrics[len(metrics)-1])
	}
	f.recordOf("works", "healthy", small)
	f.publish(whole("works"))
	if got, _ := f.covers("works"); got.Objects != 2000 {
		t.Errorf("%d objects are covered, want 2000", got.Objects)
	}
	named := false
	texts.Range(func(text, _ any) bool {
		named = named || strings.HasPrefix(text.(string), "hangs") && strings.Contains(text.(string), "s3://bucket")
		return true
	})
	if !named {
		t.Error("no import was told what it waits for")
	}
	close(answers)
	for _, id := range ids {
		if got, _ := f.covers(id); !slices.Equal(slices.Collect(got.All()), wantHanging) {
			t.Errorf("%s: %d ranges, want the %d that one listing makes", id, got.Ranges, len(wantHanging))
		}
	}
	for _, outcome := range []string{"failed", "retried"} {
		for _, m := range metrics {
			if n := measured.Sum(t, m, "rangefleet_worker_deliveries_total", outcome); n > 0 {
				t.Errorf("%v deliveries are counted as %s", n, outcome)
			}
		}
	}
}
