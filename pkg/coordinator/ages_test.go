package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// ageTest has ages with a clock that the test moves.
type ageTest struct {
	*ages
	t     *testing.T
	reg   *prometheus.Registry
	clock time.Time
}

func newAgeTest(t *testing.T) *ageTest {
	t.Helper()
	a := &ageTest{t: t, reg: prometheus.NewRegistry(), clock: time.Unix(0, 0)}
	a.ages = newAges(a.reg, func() time.Time { return a.clock })
	return a
}

func (a *ageTest) passes(seconds int) { a.clock = a.clock.Add(time.Duration(seconds) * time.Second) }

func (a *ageTest) expect(when string, seconds float64) {
	a.t.Helper()
	a.look()
	if got := measured.Sum(a.t, a.reg, "rangefleet_import_oldest_progress_age_seconds"); got != seconds {
		a.t.Errorf("%s: the age is %v s, want %v s", when, got, seconds)
	}
}

func TestAgeIsThatOfTheImportThatStandsStillLongest(t *testing.T) {
	a := newAgeTest(t)
	a.expect("no import", 0)
	a.begin("a")
	a.passes(10)
	a.begin("b")
	a.passes(5)
	a.expect("two imports", 15)
	a.further("a")
	a.passes(1)
	a.expect("a got further", 6)
	a.listed("b", 7)
	a.listed("a", 0)
	a.passes(2)
	a.expect("b listed keys, and a none", 3)
	a.listed("b", 7)
	a.further("unknown")
	a.forget("a")
	a.expect("b listed nothing more, and a has ended", 2)
	a.passes(-10)
	a.expect("the clock is set back", 0)
	a.forget("b")
	a.passes(100)
	a.expect("both have ended", 0)
}

// An import whose turn comes again and again, and that fails each time, grows old.
func TestAgeDoesNotGrowWhileAnImportWaits(t *testing.T) {
	a := newAgeTest(t)
	a.begin("a")
	for range 3 {
		a.passes(10)
		a.waits("a")
		a.passes(100)
		a.expect("it waits", 0)
		a.goesOn("a")
	}
	a.expect("its turn came", 30)
	a.goesOn("a")
	a.expect("it goes on though it did not wait", 30)
	a.waits("a")
	a.passes(50)
	a.listed("a", 1)
	a.passes(20)
	a.goesOn("a")
	a.expect("keys were listed while it waited", 0)
	a.passes(1)
	a.expect("a second later", 1)
}

// A step that succeeds, and each range of a tree, brings an import further. Errors do not.
func TestStepsAndRangesBringAnImportFurther(t *testing.T) {
	a := newAgeTest(t)
	h := &importHandle{id: "a", beat: new(beat), ages: a.ages, tracer: noop.NewTracerProvider().Tracer("")}
	failure := errors.New("the store hangs")
	a.begin("a")
	a.passes(10)
	_ = h.traced(t.Context(), "step", func() error { return failure })
	a.expect("a step failed", 10)
	expect.NoError(t, h.traced(t.Context(), "step", func() error { return nil }))
	a.expect("a step succeeded", 0)
	var ranges metarange.Ranges = func(yield func(partition.RangeMetadata, error) bool) {
		for _, err := range []error{nil, nil, failure} {
			a.passes(10)
			if !yield(partition.RangeMetadata{}, err) {
				return
			}
		}
	}
	want := []float64{0, 0, 10}
	for _, err := range h.counted(ranges) {
		a.expect(fmt.Sprintf("a range, with the error %v", err), want[0])
		want = want[1:]
	}
	if n := h.beat.ranges.Load(); n != 2 {
		t.Errorf("%d ranges were counted, want 2", n)
	}
}

// A commit that takes half an hour, a minute for each range that it stores, does not look like
// one that stands still.
func TestALongCommitDoesNotAge(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 3000)
	before := entries[:0:0]
	for _, e := range entries {
		e.Size++
		before = append(before, e)
	}
	f.commit(before...)
	r := request("dir/00000", "dir/00000")
	for i := 10; i < 290; i += 7 { // ten keys each, which lie within ranges
		prefix := fmt.Sprintf("dir/%05d", i)
		r.Paths = append(r.Paths, imports.Path{Type: imports.CommonPrefix, URI: "s3://bucket/" + prefix, Destination: prefix})
	}
	s := f.service()
	var oldest, took atomic.Int64 // seconds
	landing := func() bool {
		return slices.ContainsFunc(s.beats.steps(), func(b progress.Step) bool { return b.EstimatedRanges > 0 })
	}
	f.buckets["repo"].Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "put" && landing() && strings.Contains(c.Key, "_lakefs/") {
			f.clock.Add(int64(time.Minute))
			took.Add(60)
			s.ages.look()
			oldest.Store(max(oldest.Load(), int64(s.ages.age())))
		}
		return nil
	}
	f.run(s.Run)
	f.work(1)
	f.completed(f.start(s, r))
	if took.Load() < 1800 {
		t.Fatalf("the commit took %d s, want at least half an hour", took.Load())
	}
	if oldest.Load() > 300 {
		t.Errorf("the import seemed to stand still for %d s of a commit that took %d s", oldest.Load(), took.Load())
	}
}
