package worker

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestFinish ends deliveries and checks what becomes of the partition and of the
// import.
func TestFinish(t *testing.T) {
	q := queuetest.Start(t)
	store := imports.NewStore(q.Bucket(kv.BucketImports))
	expect.NoError(t, q.Gossip.TakeFailures(t.Context(), func(f gossip.Failure) error {
		return store.Fail(t.Context(), f.ImportID, f.Text, time.Now())
	}))
	w := New(Config{Backend: q, Imports: store, Slots: 1, Log: tracedlog.New(t), Registerer: prometheus.NewRegistry()})
	passing := errors.New("SlowDown")
	attempt := imports.Attempt{CommitID: "a"}
	for _, tc := range []struct {
		name       string
		outcome    error
		tries      int      // 1 if 0
		refused    []string // the workers to which a store refused the same before
		progressed bool     // the delivery got further than it began
		frozen     bool     // for longer than the partition is owned
		committing bool
		queued     bool // the partition stays in the queue
		state      imports.State
		text       string // of the error of the import
	}{
		{name: "done", state: imports.Running},
		{name: "done too late", frozen: true, queued: true, state: imports.Running},
		{name: "over", outcome: errOver, state: imports.Running},
		{name: "yielded", outcome: errYielded, state: imports.Running},
		{name: "lost", outcome: errLost, queued: true, state: imports.Running},
		{name: "lost for good", outcome: errLost, tries: maxTries, queued: true, state: imports.Running},
		{name: "passing", outcome: passing, queued: true, state: imports.Running},
		{name: "last but one", outcome: passing, tries: maxTries - 1, queued: true, state: imports.Running},
		{name: "last", outcome: passing, tries: maxTries, state: imports.Failed, text: "20 tries in a row got no further: SlowDown"},
		{name: "last, but further", outcome: passing, tries: maxTries, progressed: true, queued: true, state: imports.Running},
		{name: "nobody came back", outcome: errFatal, state: imports.Failed, text: "no worker came back"},
		{name: "refused", outcome: objectstore.ErrRefused, queued: true, state: imports.Running},
		{name: "refused to another", outcome: objectstore.ErrRefused, refused: []string{"another"}, state: imports.Failed, text: "credentials"},
		{name: "refused to another before", outcome: objectstore.ErrRefused, refused: []string{"another"}, progressed: true, queued: true, state: imports.Running},
		{name: "refused again", outcome: objectstore.ErrRefused, refused: slices.Repeat([]string{w.name}, maxRefusals-2), queued: true, state: imports.Running},
		{name: "refused at last", outcome: objectstore.ErrRefused, refused: slices.Repeat([]string{w.name}, maxRefusals-1), state: imports.Failed, text: "credentials"},
		{name: "gone", outcome: objectstore.ErrNotFound, state: imports.Failed, text: "that exist"},
		{name: "bad", outcome: objectstore.ErrBadListing, state: imports.Failed, text: "cannot be relied upon"},
		{name: "refused too late", outcome: objectstore.ErrRefused, frozen: true, queued: true, state: imports.Running},
		{name: "leaving", outcome: errLeaving, queued: true, state: imports.Running},
		{name: "leaving at last", outcome: errLeaving, tries: maxTries, queued: true, state: imports.Running},
		{name: "another version", outcome: natsconn.ErrProtocol, queued: true, state: imports.Running},
		{name: "refused while committing", outcome: objectstore.ErrRefused, refused: []string{"another"}, committing: true, state: imports.Committing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := strings.NewReplacer(" ", "-", ",", "").Replace(tc.name)
			r := imports.New(imports.Job{ImportID: id}, imports.Request{}, time.Now())
			if tc.committing {
				r, _ = r.Commit(time.Now(), nil, attempt)
			}
			expect.NoError(t, store.Create(t.Context(), r))
			expect.NoError(t, q.Queue.Publish(tracedlog.Place().In(t.Context()), queue.Bulk, partition.Whole(id)))
			task, err := q.Queue.Puller(queue.Bulk).Pull(t.Context())
			expect.NoError(t, err)
			d := newDelivery(t.Context(), w, &slot{}, task)
			d.tries.count, d.tries.refused = max(tc.tries, 1), tc.refused
			if tc.progressed {
				d.covers.at = "further"
			}
			if tc.frozen {
				d.ownership.confirm(task.Received.Add(-task.AckWait))
			}
			w.refusals.avoid.set(time.Time{})
			d.finish(d.task.Trace.In(t.Context()), tc.outcome)
			avoids := errors.Is(tc.outcome, objectstore.ErrRefused) && tc.queued && !tc.frozen
			if got := w.refusals.avoids(); got != avoids {
				t.Errorf("the worker leaves partitions to others: %v, want %v", got, avoids)
			}
			left, err := q.Queue.OutstandingCount(t.Context(), id)
			expect.NoError(t, err)
			if (left > 0) != tc.queued {
				t.Errorf("%d partitions are queued, want any: %t", left, tc.queued)
			}
			r, err = store.Get(t.Context(), id)
			expect.NoError(t, err)
			if r.State != tc.state || !strings.Contains(r.Error, tc.text) || tc.text == "" && r.Error != "" {
				t.Errorf("import is %s: %q, want %s: %q", r.State, r.Error, tc.state, tc.text)
			}
			expect.NoError(t, q.Discard(t.Context(), id))
		})
	}
}
