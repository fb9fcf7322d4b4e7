package worker

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// stage is a worker whose clock is the test's, with one delivery of a partition.
type stage struct {
	*Worker
	q  *queue.Queue
	at time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	q := queuetest.Start(t)
	s := &stage{q: q, at: time.Now()}
	s.Worker = New(Config{
		Queue: q, Imports: imports.NewStore(q.KV(queue.BucketImports)), Slots: 1,
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	s.now = func() time.Time { return s.at }
	return s
}

// deliver pulls a partition, of which nothing was heard before now.
func (s *stage) deliver(t *testing.T) *delivery {
	t.Helper()
	task, err := s.q.Puller(queue.Bulk).Pull(t.Context())
	expect.NoError(t, err)
	task.Received = s.at
	return newDelivery(t.Context(), s.Worker, &slot{}, task)
}

// TestAFrozenWorkerPublishesNothing moves the clock as it moves for a process that
// is stopped and continued.
func TestAFrozenWorkerPublishesNothing(t *testing.T) {
	s := newStage(t)
	p := partition.Plan("id", nil)[0]
	expect.NoError(t, s.q.Publish(t.Context(), p))
	d := s.deliver(t)
	cover := partition.Cover{Span: partition.Span{Upto: "a"}}
	expect.NoError(t, d.cover(t.Context(), cover))

	s.at = s.at.Add(d.task.AckWait)
	cover.After, cover.Upto = "a", "b"
	if err := d.cover(t.Context(), cover); !errors.Is(err, errLost) {
		t.Errorf("cover after the freeze: %v, want %v", err, errLost)
	}
	if d.publish(t.Context(), partition.New("id", partition.Span{After: "b"}, true, false)) {
		t.Error("a part was given away after the freeze")
	}
	var stopped error
	d.beat(func(err error) { stopped = err }) // NATS would confirm it
	if !errors.Is(stopped, errLost) {
		t.Errorf("the heartbeat after the freeze: %v, want %v", stopped, errLost)
	}
	if err := d.hold.check(); !errors.Is(err, errLost) {
		t.Errorf("%v after a heartbeat, want it lost for good", err)
	}
	d.settle(t.Context(), nil)
	left := queuetest.Outstanding(t, s.q, "id")
	n, err := s.q.CoverCount(t.Context(), "id")
	expect.NoError(t, err)
	if n != 1 || len(left) != 1 || left[0] != p {
		t.Errorf("%d covers and the partitions %v, want what there was before the freeze", n, left)
	}
}

func TestHeartbeatsHold(t *testing.T) {
	s := newStage(t)
	expect.NoError(t, s.q.Publish(t.Context(), partition.Plan("id", nil)[0]))
	d := s.deliver(t)
	d.slot.moved.set(s.at)
	for range 10 {
		s.at = s.at.Add(d.task.AckWait / 2)
		d.beat(func(err error) { t.Fatalf("stopped: %v", err) })
		if err := d.hold.check(); err != nil {
			t.Fatal(err)
		}
	}
	s.q.Close()
	s.at = s.at.Add(d.task.AckWait / 2)
	d.beat(func(err error) { t.Fatalf("stopped by one heartbeat that failed: %v", err) })
	s.at = s.at.Add(d.task.AckWait / 4)
	var stopped error
	d.beat(func(err error) { stopped = err })
	if !errors.Is(stopped, errLost) {
		t.Errorf("stopped: %v, want %v", stopped, errLost)
	}
}

func TestAListingThatGetsNoFurtherIsGivenUp(t *testing.T) {
	s := newStage(t)
	expect.NoError(t, s.q.Publish(t.Context(), partition.Plan("id", nil)[0]))
	d := s.deliver(t)
	d.slot.moved.set(s.at)
	s.at = s.at.Add(stuck + 1)
	d.hold.confirm(s.at)
	var stopped error
	d.beat(func(err error) { stopped = err })
	if !errors.Is(stopped, errStuck) {
		t.Errorf("stopped: %v, want %v", stopped, errStuck)
	}
}

// TestTriesCountThoseThatGotNoFurther tells stories of deliveries of a partition:
// each ends by a fault (f), a death of which nobody hears (d), or handing back
// (b), and in capitals after a cover was published.
func TestTriesCountThoseThatGotNoFurther(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		story string
		want  int // tries of the delivery that follows
	}{
		{"", 1},
		{"f", 2},
		{"ffff", 5},
		{"dd", 3},
		{"b", 1},
		{"bbbb", 1},
		{"fb", 2},
		{"bf", 2},
		{"fbdbf", 4},
		{"F", 1},
		{"B", 1},
		{"Ff", 2},
		{"Fb", 1},
		{"ffFf", 2},
		{"ffB", 1},
		{"ffDd", 2},
		{"bBb", 1},
	} {
		id := "id-" + tc.story
		p := partition.Plan(id, nil)[0]
		expect.NoError(t, s.q.Publish(t.Context(), p))
		for i, end := range tc.story {
			d := s.deliver(t)
			d.open(t)
			if end < 'a' {
				expect.NoError(t, d.cover(t.Context(), partition.Cover{Span: partition.Span{After: d.at, Upto: d.at + "x"}}))
				end += 'a' - 'A'
			}
			var err error
			switch end {
			case 'f', 'd': // what either leaves behind is that the partition comes again
				err = d.task.Nak(t.Context(), 0)
			case 'b':
				err = d.handBack(t.Context(), 0)
			}
			if err != nil {
				t.Fatalf("%q at %d: %v", tc.story, i, err)
			}
		}
		d := s.deliver(t)
		d.open(t)
		if d.tries != tc.want {
			t.Errorf("%q: %d tries, want %d", tc.story, d.tries, tc.want)
		}
		expect.NoError(t, d.task.Ack(t.Context()))
	}
}

// open does what a delivery does before it lists.
func (d *delivery) open(t *testing.T) {
	t.Helper()
	last, _, err := d.cfg.Queue.LastCover(t.Context(), d.task.Partition.ImportID, d.task.Partition.ID)
	expect.NoError(t, err)
	d.at, d.begunAt = last.Upto, last.Upto
	expect.NoError(t, d.countTries(t.Context()))
}

// TestNotesKeepTheCut notes a cut, and other things after it.
func TestNotesKeepTheCut(t *testing.T) {
	s := newStage(t)
	p := partition.Plan("id", nil)[0]
	expect.NoError(t, s.q.Publish(t.Context(), p))
	d := s.deliver(t)
	d.noteCut(t.Context(), "cut")
	expect.NoError(t, d.task.Nak(t.Context(), 0))
	for name, end := range map[string]func(d *delivery) error{
		"handed back": func(d *delivery) error { return d.handBack(t.Context(), 0) },
		"refused":     func(d *delivery) error { return d.leaveToAnother(t.Context(), 0, errors.New("access denied")) },
		"failed":      func(d *delivery) error { return d.task.Nak(t.Context(), 0) },
	} {
		d := s.deliver(t)
		d.open(t)
		expect.NoError(t, end(d))
		if noted, _, err := s.q.Tries(t.Context(), "id", p.ID); err != nil || noted.Cut != "cut" {
			t.Errorf("%s: %+v, %v", name, noted, err)
		}
	}
}

func TestAPartitionThatKillsWorkersFailsItsImport(t *testing.T) {
	s := newStage(t)
	p := partition.Plan("id", nil)[0]
	expect.NoError(t, s.q.Publish(t.Context(), p))
	expect.NoError(t, s.q.NoteTries(t.Context(), "id", p.ID, queue.Tries{Count: maxDeaths}))
	expect.NoError(t, s.deliver(t).task.Nak(t.Context(), 0))
	if err := s.deliver(t).countTries(t.Context()); !errors.Is(err, errFatal) {
		t.Errorf("%v, want %v", err, errFatal)
	}
}
