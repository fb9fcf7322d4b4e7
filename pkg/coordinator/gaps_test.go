package coordinator

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// memoryQueue is a work queue in memory.
type memoryQueue struct {
	parts map[string]partition.Partition // by ID
	reset []string                       // IDs
}

func (q *memoryQueue) Publish(_ context.Context, _ queue.Lane, p partition.Partition) error {
	q.parts[p.ID] = p
	return nil
}

func (q *memoryQueue) Partitions(_ context.Context, _ string, ids []string) (found []partition.Partition, err error) {
	for _, id := range ids {
		if p, ok := q.parts[id]; ok {
			found = append(found, p)
		}
	}
	return found, nil
}

func (q *memoryQueue) AckWait() time.Duration { return time.Second }

func (q *memoryQueue) ResetAckWait(_ context.Context, _ string, ids []string) error {
	q.reset = append(q.reset, ids...)
	return nil
}

// gapTest is a gapCloser, and all that it looks at.
type gapTest struct {
	*gapCloser
	t      *testing.T
	queued *memoryQueue
	made   partition.Fold // of the covers that have come in
	came   uint64         // number of covers that have come in
	clock  time.Time
}

func newGapTest(t *testing.T, gaps ...partition.Span) *gapTest {
	g := &gapTest{t: t, queued: &memoryQueue{parts: make(map[string]partition.Partition)}, made: partition.Fold{Gaps: gaps}, clock: time.Now()}
	imp := handle("import", imports.NewStore(new(kvtest.Memory)))
	imp.now = func() time.Time { return g.clock }
	g.gapCloser = newGapCloser(imp, g.queued, new(fleetWatch), func() (partition.Fold, uint64) { return g.made, g.came })
	return g
}

// survey takes a survey that counts so many covers, while so many workers wait.
func (g *gapTest) survey(covers uint64, waiting int) {
	seen := backend.Survey{Covers: map[string]uint64{"import": covers}}
	seen.Waiting = waiting
	seen.Partitions = make(map[string][]string)
	for id := range g.queued.parts {
		seen.Partitions["import"] = append(seen.Partitions["import"], id)
	}
	g.watch.last.Store(&survey{seen, g.watch.begun.Add(1)})
}

// expectQueued looks for gaps, and checks which spans are queued then.
func (g *gapTest) expectQueued(when string, want ...partition.Span) {
	g.t.Helper()
	expect.NoError(g.t, g.close(g.t.Context()))
	var got []partition.Span
	for _, p := range g.queued.parts {
		got = append(got, p.Span)
	}
	if !slices.Equal(got, want) {
		g.t.Errorf("%s: queued are %v, want %v", when, got, want)
	}
}

func TestAGapIsQueuedUntilItsKeysAreCovered(t *testing.T) {
	gap := partition.Span{After: "k", Upto: "m"}
	g := newGapTest(t, gap)
	for range maxListings {
		g.survey(0, 0)
		g.expectQueued("nothing is queued", gap)
		g.survey(0, 0)
		g.expectQueued("its partition is queued", gap)
		clear(g.queued.parts) // a worker has listed it, and found no ranges
	}
	g.survey(0, 0)
	if err := g.close(t.Context()); !errors.Is(err, inconsistent{gap}) || !hopeless(err) {
		t.Errorf("after %d listings: %v, want inconsistent", maxListings, err)
	}
}

func TestOnlyAFreshSurveyShowsGaps(t *testing.T) {
	gap := partition.Span{After: "k"}
	g := newGapTest(t, gap)
	g.expectQueued("before the first survey")
	g.survey(1, 0)
	g.expectQueued("a cover that is counted has not come in")
	g.came = 1
	g.survey(1, 0)
	other := partition.New("import", partition.Span{Upto: "a"}, false, false)
	expect.NoError(t, g.publish(t.Context(), queue.Bulk, other))
	g.expectQueued("the survey is older than a partition", other.Span)
	clear(g.queued.parts)
	g.survey(1, 0)
	g.expectQueued("the survey is fresh", gap)
	clear(g.queued.parts)
	g.expectQueued("the survey has been used")
}

func TestAnEndIsFinalOnceAllPartitionsBeyondHaveEnded(t *testing.T) {
	g := newGapTest(t)
	g.made.Beyond, g.came = "k", 2
	final := func(want bool, when string) {
		t.Helper()
		got, err := g.endIsFinal(t.Context(), g.made, g.came)
		if expect.NoError(t, err); got != want {
			t.Errorf("%s: final is %t, want %t", when, got, want)
		}
	}
	expect.NoError(t, g.publish(t.Context(), queue.Bulk, partition.New("import", partition.Span{After: "m"}, false, false)))
	final(false, "before a survey")
	g.survey(2, 0)
	final(false, "a partition beyond is queued")
	clear(g.queued.parts)
	g.survey(2, 0)
	final(true, "it has ended")
	final(true, "without another survey")
	g.came++
	final(false, "after another cover")
}

func TestPartitionsThatStallAreReset(t *testing.T) {
	g := newGapTest(t)
	part := partition.Whole("import")
	expect.NoError(t, g.publish(t.Context(), queue.Bulk, part))
	for i, tc := range []struct {
		after   time.Duration
		covers  uint64
		waiting int
		reset   bool
	}{
		{0, 0, 1, false},
		{stalledFor, 0, 0, false}, // no worker waits
		{0, 0, 1, true},
		{stalledFor / 2, 0, 1, false}, // it was reset
		{stalledFor / 2, 1, 1, false}, // a cover has come
		{stalledFor, 1, 1, true},
		{stalledFor, 0, 1, false}, // the covers are lost
	} {
		g.clock, g.came, g.queued.reset = g.clock.Add(tc.after), tc.covers, nil
		g.survey(tc.covers, tc.waiting)
		expect.NoError(t, g.close(t.Context()))
		if reset := slices.Equal(g.queued.reset, []string{part.ID}); reset != tc.reset {
			t.Errorf("look %d: reset is %t, want %t", i, reset, tc.reset)
		}
	}
}

// Partitions that are given back with a delay of an hour are in the same state as those
// that a NATS server whose clock was an hour ahead has delivered to workers that died.
func TestPartitionsOfAClockThatWasAheadAreFreed(t *testing.T) {
	t.Parallel()
	source, entries := numbered(1000)
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})}, backend.Options{Queue: queue.Config{AckWait: 500 * time.Millisecond}})
	f := fleetOver(t, q, source)
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/000300", "dir/000600")
	drive(f, s, id)
	for range f.planned(id) {
		expect.NoError(t, pull(f).Nak(t.Context(), time.Hour))
	}
	f.work(1)
	expect.Eventually(t, "the import ends", func() bool {
		f.clock.Add(int64(stalledFor / 2))
		expect.NoError(t, s.watch.survey(t.Context()))
		return f.record(id).State.Ended()
	})
	f.completed(id)
	f.expectTree(entries)
}
