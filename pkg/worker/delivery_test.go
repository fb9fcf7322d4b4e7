package worker

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// stage is a worker whose clock the test sets, and its queue.
type stage struct {
	w     *Worker
	q     *backend.Backend
	at    time.Time
	again map[string]int // deliveries that told so, by import
}

func newStage(t *testing.T) *stage {
	t.Helper()
	q := queuetest.Start(t)
	s := &stage{q: q, at: time.Now(), again: make(map[string]int)}
	s.w = New(Config{
		Backend: q, Imports: imports.NewStore(q.Bucket(kv.BucketImports)), Slots: 1,
		Log: tracedlog.New(t), Registerer: prometheus.NewRegistry(),
	})
	s.w.now = func() time.Time { return s.at }
	return s
}

// publish queues the only partition of an import.
func (s *stage) publish(t *testing.T, importID string) partition.Partition {
	t.Helper()
	p := partition.Whole(importID)
	expect.NoError(t, s.q.Queue.Publish(tracedlog.Place().In(t.Context()), queue.Bulk, p))
	return p
}

// deliver pulls a partition, as if it was delivered just now.
func (s *stage) deliver(t *testing.T) *delivery {
	t.Helper()
	task, err := s.q.Queue.Puller(queue.Bulk).Pull(t.Context())
	expect.NoError(t, err)
	task.Received = s.at
	d := newDelivery(t.Context(), s.w, &slot{}, task)
	d.reporter.send = func(r progress.Report) {
		if r.State == progress.Again {
			s.again[r.ImportID]++
		}
	}
	return d
}

// resumed is deliver, and what a delivery does before it lists.
func (s *stage) resumed(t *testing.T) *delivery {
	t.Helper()
	d := s.deliver(t)
	_, _, err := d.resume(t.Context(), partition.DefaultBreaks)
	expect.NoError(t, err)
	return d
}

// TestAFrozenWorkerPublishesNothing moves the clock as it moves for a process that
// is stopped and continued.
func TestAFrozenWorkerPublishesNothing(t *testing.T) {
	s := newStage(t)
	p := s.publish(t, "id")
	d := s.resumed(t)
	cover := partition.Cover{Span: partition.Span{Upto: "a"}}
	expect.NoError(t, d.covers.publish(t.Context(), cover))

	s.at = s.at.Add(d.task.AckWait)
	cover.After, cover.Upto = "a", "b"
	if err := d.covers.publish(t.Context(), cover); !errors.Is(err, errLost) {
		t.Errorf("cover after the freeze: %v, want %v", err, errLost)
	}
	if d.publisher.give(t.Context(), partition.New("id", partition.Span{After: "b"}, true, false)) {
		t.Error("a part was given away after the freeze")
	}
	if stopped := d.heartbeat(); !errors.Is(stopped, errLost) { // NATS would confirm it
		t.Errorf("the heartbeat after the freeze: %v, want %v", stopped, errLost)
	}
	if err := d.ownership.check(); !errors.Is(err, errLost) {
		t.Errorf("%v after a heartbeat, want it lost for good", err)
	}
	d.finish(d.task.Trace.In(t.Context()), nil)
	left := queuetest.Outstanding(t, s.q, "id")
	n, err := s.q.Covers.Count(t.Context(), "id")
	expect.NoError(t, err)
	if n != 1 || len(left) != 1 || left[0] != p {
		t.Errorf("%d covers and the partitions %v, want what there was before the freeze", n, left)
	}
}

func TestHeartbeatsKeepOwnership(t *testing.T) {
	s := newStage(t)
	s.publish(t, "id")
	d := s.deliver(t)
	d.slot.progress.set(s.at)
	for range 10 {
		s.at = s.at.Add(d.task.AckWait / 2)
		expect.NoError(t, d.heartbeat())
		expect.NoError(t, d.ownership.check())
	}
	s.q.Close()
	s.at = s.at.Add(d.task.AckWait / 2)
	if stopped := d.heartbeat(); stopped != nil {
		t.Fatalf("stopped by one heartbeat that failed: %v", stopped)
	}
	s.at = s.at.Add(d.task.AckWait / 4)
	if stopped := d.heartbeat(); !errors.Is(stopped, errLost) {
		t.Errorf("stopped: %v, want %v", stopped, errLost)
	}
}

func TestAListingThatGetsNoFurtherIsGivenUp(t *testing.T) {
	s := newStage(t)
	s.publish(t, "id")
	d := s.deliver(t)
	d.slot.progress.set(s.at)
	s.at = s.at.Add(stuck + 1)
	d.ownership.confirm(s.at)
	if stopped := d.heartbeat(); !errors.Is(stopped, errStuck) {
		t.Errorf("stopped: %v, want %v", stopped, errStuck)
	}
}

// TestTriesCountDeliveriesThatGotNoFurther delivers a partition several times. Each
// delivery is a letter, which says how it ends: by a fault (f), by the death of its worker
// (d), or by being handed back (b), perhaps before the notes of earlier deliveries were
// read (e). A capital letter says that a cover was published before.
func TestTriesCountDeliveriesThatGotNoFurther(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		deliveries string
		want       int // tries of the delivery that follows
		again      int // deliveries of all that tell that those before got no further
	}{
		{"", 1, 0},
		{"f", 2, 1},
		{"ffff", 5, 4},
		{"dd", 3, 2},
		{"b", 1, 0},
		{"bbbb", 1, 0},
		{"fb", 2, 2},
		{"bf", 2, 1},
		{"fbdbf", 4, 5},
		{"e", 1, 0},
		{"be", 1, 0},
		{"ffe", 3, 2},
		{"F", 1, 0},
		{"B", 1, 0},
		{"Ff", 2, 1},
		{"Fb", 1, 0},
		{"ffFf", 2, 3},
		{"ffB", 1, 2},
		{"ffDd", 2, 3},
		{"bBb", 1, 0},
	} {
		s.publish(t, "id-"+tc.deliveries)
		for i, end := range tc.deliveries {
			if err := s.deliverOnce(t, end); err != nil {
				t.Fatalf("%q at %d: %v", tc.deliveries, i, err)
			}
		}
		d := s.resumed(t)
		if d.tries.count != tc.want {
			t.Errorf("%q: %d tries, want %d", tc.deliveries, d.tries.count, tc.want)
		}
		if got := s.again[d.task.Partition.ImportID]; got != tc.again {
			t.Errorf("%q: %d deliveries tell that those before got no further, want %d", tc.deliveries, got, tc.again)
		}
		expect.NoError(t, d.task.Ack(t.Context()))
	}
}

// deliverOnce delivers the partition, and ends the delivery in that way.
func (s *stage) deliverOnce(t *testing.T, end rune) error {
	if end == 'e' {
		return s.deliver(t).handBack(t.Context(), 0)
	}
	d := s.resumed(t)
	if end < 'a' {
		at := d.covers.at
		expect.NoError(t, d.covers.publish(t.Context(), partition.Cover{Span: partition.Span{After: at, Upto: at + "x"}}))
		end += 'a' - 'A'
	}
	if end == 'b' {
		return d.handBack(t.Context(), 0)
	}
	return d.task.Nak(t.Context(), 0) // after a fault or a death, the partition comes again
}

// TestNotesKeepTheCut notes a cut, and other things after it.
func TestNotesKeepTheCut(t *testing.T) {
	s := newStage(t)
	p := s.publish(t, "id")
	d := s.resumed(t)
	d.publisher.owned.Cut("cut")
	expect.NoError(t, d.tries.note(t.Context()))
	expect.NoError(t, d.task.Nak(t.Context(), 0))
	for name, end := range map[string]func(d *delivery) error{
		"handed back": func(d *delivery) error { return d.handBack(t.Context(), 0) },
		"refused": func(d *delivery) error {
			return errors.Join(d.tries.noteRefused(t.Context()), d.task.Nak(t.Context(), 0))
		},
		"failed": func(d *delivery) error { return d.task.Nak(t.Context(), 0) },
	} {
		expect.NoError(t, end(s.resumed(t)))
		if noted, _, err := s.q.Covers.Tries(t.Context(), "id", p.ID); err != nil || noted.Cut != "cut" {
			t.Errorf("%s: %+v, %v", name, noted, err)
		}
	}
	early := s.deliver(t)
	expect.NoError(t, early.handBack(t.Context(), 0))
	if noted, _, err := s.q.Covers.Tries(t.Context(), "id", p.ID); err != nil || noted.Cut != "cut" {
		t.Errorf("handed back before the note was read: %+v, %v", noted, err)
	}
}

func TestAPartitionThatKillsWorkersFailsItsImport(t *testing.T) {
	s := newStage(t)
	p := s.publish(t, "id")
	expect.NoError(t, s.q.Covers.NoteTries(t.Context(), "id", p.ID, covers.Tries{Count: maxDeaths}))
	expect.NoError(t, s.deliver(t).task.Nak(t.Context(), 0))
	if _, _, err := s.deliver(t).resume(t.Context(), partition.DefaultBreaks); !errors.Is(err, errFatal) {
		t.Errorf("%v, want %v", err, errFatal)
	}
}
