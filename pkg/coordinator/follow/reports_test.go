package follow

import (
	"fmt"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestReportsAreOfImportsThatAreFollowed(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	f, _ := newFollowers(t, q)
	report := progress.Report{
		ImportID: "i", PartitionID: "p", Worker: "w", State: progress.Listing, Span: partition.Span{After: "k", Upto: "p"}, Keys: 5,
	}
	f.Take(report)
	p := f.Follow("i", tracedlog.Place())
	if now := p.Look(1); now.Listed != 0 || !p.Sign().IsZero() {
		t.Errorf("reports came in before the import was followed: %+v", now)
	}
	publish(t, q, "i", "", "k", 3)
	p.Await(t.Context(), 1)
	f.Take(report)
	if now := p.Look(1); now.Listed != 8 || now.Workers != 1 || p.Sign().IsZero() {
		t.Errorf("after a cover and a report: %+v", now)
	}
	report.Number, report.Left = 1, progress.NewGuess(800, 1000, 2000)
	f.Take(report)
	f.Take(progress.Report{ImportID: "i", PartitionID: "q", State: progress.Waiting, Left: progress.NewGuess(100, 200, 300)})
	if looks := f.Look(map[string]int{"i": 2, "unknown": 7}); len(looks) != 1 || looks["i"].Estimate.Keys != 1208 || looks["i"].Workers != 1 {
		t.Errorf("%+v, want an estimate of 1208 keys of one import, and one worker", looks)
	}
	if looks := f.Look(nil); len(looks) != 0 {
		t.Errorf("of no import: %+v", looks)
	}
	f.Keep(time.Now().Add(time.Hour), map[string][]string{"i": {"p"}})
	if now := p.Look(1); now.Running != 1 {
		t.Errorf("while the partition is there: %+v", now)
	}
	f.Keep(time.Now().Add(time.Hour), nil)
	if now := p.Look(0); now.Running != 0 || now.Listed != 8 {
		t.Errorf("when the partition is gone: %+v", now)
	}
	p.reset()
	if now := p.Look(0); now.Listed != 8 {
		t.Errorf("%d keys are listed while covers are read again, want 8", now.Listed)
	}
}

func TestStepsAreOfImportsThatAreFollowed(t *testing.T) {
	t.Parallel()
	f, _ := newFollowers(t, queuetest.Start(t))
	f.TakeStep(progress.Step{ImportID: "i", Busy: true})
	p := f.Follow("i", tracedlog.Place())
	if !p.Sign().IsZero() {
		t.Errorf("a step came in before the import was followed: %+v", p.Step())
	}
	f.TakeStep(progress.Step{ImportID: "i", Busy: true, Ranges: 2, EstimatedRanges: 3})
	if s := p.Step(); s.Ranges != 2 || s.EstimatedRanges != 3 {
		t.Errorf("the driver told %+v", s)
	}
	for retries, want := range []int64{0, 1, 2} {
		if f.TakeStep(progress.Step{ImportID: "i", Retries: int64(retries)}); p.Step().Retries != want {
			t.Errorf("%d retries of %d", p.Step().Retries, want)
		}
	}
	if f.TakeStep(progress.Step{ImportID: "i", Retries: 1}); p.Step().Retries != 3 {
		t.Errorf("%d retries of two drivers, want 2 and 1", p.Step().Retries)
	}
}

// BenchmarkStatus compares, in one run, what a status costs with what it cost without progress:
// of an import of 10^4 partitions. Workers list 256 of them.
func BenchmarkStatus(b *testing.B) {
	const partitions, listing = 10_000, 256
	q := queuetest.Start(b)
	p := newProgress(Config{Now: time.Now, Expiry: time.Hour}, newMetrics(nil), nil, nil)
	for i := range partitions {
		after, upto := fmt.Sprintf("k%06d", i), fmt.Sprintf("k%06d", i+1)
		part := partition.Partition{ID: fmt.Sprint("p", i), ImportID: "i", Span: partition.Span{After: after, Upto: upto}}
		expect.NoError(b, q.Queue.Publish(b.Context(), queue.Bulk, part))
		middle := after + "5"
		p.add(partition.Cover{Span: partition.Span{After: after, Upto: middle}, Range: &partition.RangeMetadata{
			ID: fmt.Sprintf("%064x", i), MinKey: after + "1", MaxKey: middle, Count: 100,
		}})
		r := progress.Report{ImportID: "i", PartitionID: part.ID, Worker: fmt.Sprint(i % 32), State: progress.Waiting, Left: progress.NewGuess(1, 2, 3)}
		if i%(partitions/listing) == 0 {
			r.State, r.Span, r.Keys = progress.Listing, partition.Span{After: middle, Upto: upto}, 50
		}
		p.tally.Take(r, time.Now())
	}
	status := func(look bool) time.Duration {
		begun := time.Now()
		n, err := q.Queue.OutstandingCount(b.Context(), "i")
		expect.NoError(b, err)
		p.Covered()
		if look {
			if now := p.Look(n); now.Running == 0 || p.Sign().IsZero() {
				b.Fatalf("%+v", now)
			}
		}
		return time.Since(begun)
	}
	var with, without time.Duration
	for b.Loop() {
		without += status(false)
		with += status(true)
	}
	b.ReportMetric(float64(with)/float64(without), "of-the-cost-without")
}
