package worker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestSettle tells how a delivery ended and looks at what became of the
// partition and of the import.
func TestSettle(t *testing.T) {
	q := queuetest.Start(t)
	store := imports.NewStore(q.KV(queue.BucketImports))
	w := New(Config{Queue: q, Imports: store, Slots: 1, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	passing := errors.New("SlowDown")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	attempt := imports.Attempt{CommitID: "a"}
	for _, tc := range []struct {
		name       string
		ctx        context.Context
		outcome    error
		deliveries int
		committing bool
		queued     bool // the partition stays in the queue
		state      imports.State
	}{
		{name: "done", state: imports.Running},
		{name: "over", outcome: errOver, state: imports.Running},
		{name: "lost", outcome: errLost, queued: true, state: imports.Running},
		{name: "lost for good", outcome: errLost, deliveries: maxDeliveries, queued: true, state: imports.Running},
		{name: "passing", outcome: passing, queued: true, state: imports.Running},
		{name: "last but one", outcome: passing, deliveries: maxDeliveries - 1, queued: true, state: imports.Running},
		{name: "last", outcome: passing, deliveries: maxDeliveries, state: imports.Failed},
		{name: "refused", outcome: objectstore.ErrRefused, state: imports.Failed},
		{name: "stopping", ctx: stopped, outcome: context.Canceled, queued: true, state: imports.Running},
		{name: "stopping at last", ctx: stopped, outcome: context.Canceled, deliveries: maxDeliveries, queued: true, state: imports.Running},
		{name: "done while stopping", ctx: stopped, state: imports.Running},
		{name: "refused while committing", outcome: objectstore.ErrRefused, committing: true, state: imports.Committing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := strings.ReplaceAll(tc.name, " ", "-")
			r := imports.New(imports.Job{ImportID: id}, imports.Request{}, time.Now())
			if tc.committing {
				r, _ = r.Commit(time.Now(), nil, attempt)
			}
			check(t, store.Create(t.Context(), r))
			check(t, q.Publish(t.Context(), partition.Plan(id, nil)[0]))
			task, err := q.Pull(t.Context())
			check(t, err)
			if tc.deliveries > 0 {
				task.Deliveries = tc.deliveries
			}
			if tc.ctx == nil {
				tc.ctx = t.Context()
			}
			w.settle(tc.ctx, task, tc.outcome)
			left, err := q.Outstanding(t.Context(), id)
			check(t, err)
			if (len(left) > 0) != tc.queued {
				t.Errorf("%d partitions are queued, want any: %t", len(left), tc.queued)
			}
			r, err = store.Get(t.Context(), id)
			check(t, err)
			if r.State != tc.state || r.State == imports.Failed && r.Error != tc.outcome.Error() {
				t.Errorf("import is %s: %q, want %s", r.State, r.Error, tc.state)
			}
			check(t, q.Discard(t.Context(), id))
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
