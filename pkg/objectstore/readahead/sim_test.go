package readahead

import (
	"container/heap"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// slice is a page of a set of keys.
type slice struct {
	set    *keyset.Set
	lo, hi int64
}

// entryBytes is the memory that an entry takes, without its key.
const entryBytes = 60

func (s slice) Len() int                           { return int(s.hi - s.lo) }
func (s slice) AppendKey(dst []byte, i int) []byte { return s.set.AppendKey(dst, s.lo+int64(i)) }
func (s slice) key(i int) string                   { return s.set.Key(s.lo + int64(i)) }
func (s slice) ModTime(int) int64                  { return 0 }
func (s slice) Head(n int) slice                   { return slice{s.set, s.lo, s.lo + int64(n)} }
func (s slice) Tail(n int) slice                   { return slice{s.set, s.lo + int64(n), s.hi} }
func (s slice) Bytes() int {
	if s.hi == s.lo {
		return 0
	}
	first := s.key(0)
	return (entryBytes + len(first) - keyspace.Common(first, s.key(s.Len()-1))) * s.Len()
}

type event struct {
	at    float64
	takes float64 // LIST
	call  call[slice]
	take  bool
}
type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any          { o := *e; x := o[len(o)-1]; *e = o[:len(o)-1]; return x }

// sim is a listing in simulated time. The unit is the mean duration of a LIST.
type sim struct {
	set     keyset.Set
	page    int64                            // keys
	limit   int                              // LISTs in flight
	budget  int                              // bytes
	consume float64                          // time that the consumer takes for a page
	spread  float64                          // of how long LISTs take, evenly around 1
	demand  demand                           // as measured
	trace   func(format string, args ...any) // nil: none

	rnd     *rand.Rand
	plan    *plan[slice]
	limiter *Limiter
	events  events
	now     float64
	next    int64 // rank of the first key that was not taken
	taking  bool  // the consumer is busy with a page
	out     outcome
}

type outcome struct {
	time  float64
	calls int
	empty int     // calls without a key that was kept
	ends  int     // calls with a page that was kept in part
	parts float64 // pages that were listed in vain, in total
	peak  int     // bytes held
}

func (s sim) run(seed uint64) (outcome, error) {
	s.rnd = rand.New(rand.NewPCG(seed, 2))
	s.plan = newPlan[slice]("", "", "", s.budget)
	s.limiter = NewLimiter(Limits{Most: s.limit})
	for {
		s.list()
		if done, err := s.take(); done || err != nil {
			s.out.time = s.now
			return s.out, err
		}
		if s.events.Len() == 0 {
			return s.out, fmt.Errorf("stuck after %d keys", s.next)
		}
		e := heap.Pop(&s.events).(event)
		if s.trace != nil && int(e.at) > int(s.now) {
			s.tracePlan(int(e.at))
		}
		s.now = e.at
		if e.take {
			s.taking = false
			s.demand.take.add(seconds(s.consume))
			continue
		}
		s.arrive(e)
		if s.plan.seams.torn {
			return s.out, errTorn
		}
	}
}

// list starts the LISTs that the plan asks for.
func (s *sim) list() {
	for {
		c, ok := s.plan.next(s.demand.limit(s.limiter.Limit()), s.demand.rate())
		if !ok {
			return
		}
		s.out.calls++
		takes := 1 + s.spread*(s.rnd.Float64()-0.5)
		heap.Push(&s.events, event{at: s.now + takes, takes: takes, call: c})
	}
}

// take hands pages to the consumer until it is busy or there is none, and reports whether all
// were taken.
func (s *sim) take() (done bool, err error) {
	for !s.taking {
		page, ok, done := s.plan.take()
		switch {
		case done && s.next != s.set.Len():
			return false, fmt.Errorf("%d of %d keys", s.next, s.set.Len())
		case done || !ok:
			return done, nil
		case page.lo != s.next:
			return false, fmt.Errorf("page starts at %d, not %d", page.lo, s.next)
		}
		s.next = page.hi
		if s.consume > 0 {
			s.taking = true
			heap.Push(&s.events, event{at: s.now + s.consume, take: true})
		}
	}
	return false, nil
}

// arrive adds the page of a LIST to the plan.
func (s *sim) arrive(e event) {
	s.demand.list.add(seconds(e.takes))
	s.limiter.success(seconds(e.takes))
	lo := s.set.Rank(e.call.after)
	hi := min(lo+s.page, s.set.Len())
	if s.trace != nil {
		s.traceCall(e.call, lo, hi)
	}
	before := s.plan.waste.useful
	s.plan.arrived(e.call, slice{&s.set, lo, hi}, hi < s.set.Len())
	s.out.count(before, s.plan.waste.useful, s.plan.buffer.held)
}

// count counts a call by how many pages were kept before it and after, and the bytes that are
// held after it.
func (o *outcome) count(before, after float64, held int) {
	o.peak = max(o.peak, held)
	if after == before {
		o.empty++
		return
	}
	if after < before+1 {
		o.ends++
	}
	o.parts += 1 - (after - before)
}

// tracePlan traces the plan at a time, with its first segments.
func (s *sim) tracePlan(at int) {
	p := s.plan
	s.trace("== %d: taken %d held %d in flight %d segments %d calls %d useful %.0f", at, s.next/s.page, p.buffer.held/max(1, int(p.buffer.pageSize)), p.inFlight, len(p.segments), p.waste.lists, p.waste.useful)
	for i, g := range p.segments[:min(4, len(p.segments))] {
		s.trace("   -- %d pages %d rest %.1f lists %d inflight %v whole %v guess %v done %v trust %.1f: %s %s", i, len(g.pages), g.rest.Pages, g.lists, g.inFlight, g.whole, g.guess, g.done, p.waste.trust, short(g.rest.Pos), short(g.rest.Hi))
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (s *sim) traceCall(c call[slice], lo, hi int64) {
	p, seg, kept := s.plan, c.segment, hi
	if seg.rest.Hi != "" {
		kept = min(hi, max(lo, s.set.Rank(seg.rest.Hi)))
	}
	s.trace("%6.2f taken %d rank %d keep %d of %d rest %.1f (is %.1f) segments %d in flight %d held %d of %.0f after %s hi %s", s.now, s.next/s.page, lo, kept-lo, hi-lo,
		seg.rest.Pages, float64(s.set.Rank(seg.rest.Hi+"\xff")-lo)/float64(s.page), len(p.segments), p.inFlight, p.buffer.held/max(1, int(p.buffer.pageSize)), p.buffer.window(), short(c.after), short(seg.rest.Hi))
}

func short(key string) string {
	if len(key) < 60 {
		return fmt.Sprintf("%q", key)
	}
	run := 0
	for run < len(key) && key[run] == key[0] {
		run++
	}
	return fmt.Sprintf("%d*%q %q", run, key[:1], key[max(run, len(key)-60):])
}

// The default is a simulation of a million objects. For ten million:
//
//	go test -run Shapes -v -sim.keys 10000000
var (
	simKeys    = flag.Int64("sim.keys", 1_000_000, "keys of each shape")
	simPage    = flag.Int64("sim.page", 1000, "keys of a page")
	simLimit   = flag.Int("sim.limit", 64, "LISTs in flight")
	simBudget  = flag.Int("sim.budget", 48<<20, "bytes that pages may hold")
	simConsume = flag.Float64("sim.consume", 0.02, "how long the consumer takes for a page; a LIST takes 1")
	simSpread  = flag.Float64("sim.spread", 0.8, "by how much LISTs differ in how long they take")
	simShape   = flag.String("sim.shape", "", "the only shape")
	simTrace   = flag.Bool("sim.trace", false, "print each page as it arrives")
	simRuns    = flag.Uint64("sim.runs", 1, "runs of each shape, each with latencies of its own")
)

// bound is what a shape may cost: round trips, and LISTs over the minimum.
type bound struct{ trips, calls float64 }

// usual is the bound of most shapes, for a million keys with the default flags, and hard that
// of the others.
var (
	usual = bound{39, 1.08}
	hard  = map[string]bound{
		"hive": {43, 1.14}, "zipf": {42, 1.1}, "firstlies": {50, 1.09}, "rising": {39, 1.09}, "fractal": {50, 1.12}, "zruns": {42, 1.14},
	}
)

func TestShapes(t *testing.T) {
	t.Log("| shape | round trips | LISTs over the minimum | nothing kept | parts | MiB held | ends |")
	for _, shape := range keyset.Names() {
		if *simShape != "" && shape != *simShape || shape == "awkward" {
			continue
		}
		want, ok := hard[shape]
		if !ok {
			want = usual
		}
		got := simulate(t, shape, *simKeys, *simConsume, *simLimit)
		if *simKeys == 1_000_000 && *simConsume == 0.02 && (got.trips > want.trips || got.calls > want.calls) {
			t.Errorf("%s: %.1f round trips, %.3f LISTs over the minimum; want at most %v", shape, got.trips, got.calls, want)
		}
	}
}

// TestLongListings lists shapes on which longer listings were once much slower, or wasted
// many more LISTs.
func TestLongListings(t *testing.T) {
	for shape, want := range map[string]bound{
		"cjk": {270, 1.04}, "hive": {340, 1.085}, "ulid": {240, 1.03}, "zruns": {300, 1.055},
	} {
		if got := simulate(t, shape, 10_000_000, 0.02, *simLimit); got.trips > want.trips || got.calls > want.calls {
			t.Errorf("%s: %.1f round trips, %.3f LISTs over the minimum; want at most %v", shape, got.trips, got.calls, want)
		}
	}
}

// TestWithoutLatency lists a store that answers almost as fast as the consumer asks: there is
// no latency to hide, and so no LIST to waste.
func TestWithoutLatency(t *testing.T) {
	for _, shape := range []string{"hive", "md5"} {
		if got := simulate(t, shape, 1_000_000, 0.5, *simLimit); got.trips > 540 || got.calls > 1.08 {
			t.Errorf("%s: %.1f round trips, %.3f LISTs over the minimum", shape, got.trips, got.calls)
		}
		if got := simulate(t, shape, 10_000_000, 0.5, *simLimit); got.trips > 5150 || got.calls > 1.03 {
			t.Errorf("10M %s: %.1f round trips, %.3f LISTs over the minimum", shape, got.trips, got.calls)
		}
	}
}

// TestFewLists has few LISTs in flight, so that the consumer has to wait for them anyhow: the
// listing is fastest if none of them is wasted.
func TestFewLists(t *testing.T) {
	for limit, want := range map[int]float64{4: 1.075, 16: 1.15} {
		for _, shape := range []string{"hive", "md5", "fractal"} {
			least := 1000 / float64(limit)
			if got := simulate(t, shape, 1_000_000, 0.01, limit); got.trips > 1.03*want*least+5 || got.calls > want {
				t.Errorf("%s, %d LISTs: %.1f round trips, %.3f LISTs over the minimum", shape, limit, got.trips, got.calls)
			}
		}
	}
}

// simulate runs one shape as the flags say.
func simulate(t *testing.T, shape string, keys int64, consume float64, limit int) bound {
	t.Helper()
	s := sim{page: *simPage, limit: limit, budget: *simBudget, consume: consume, spread: *simSpread}
	if *simTrace {
		s.trace = func(f string, args ...any) { fmt.Fprintf(os.Stdout, f+"\n", args...) }
	}
	var sum outcome
	for seed := range *simRuns {
		set, err := keyset.New(shape, keys, seed)
		if err != nil {
			t.Fatal(err)
		}
		s.set = set
		one, err := s.run(seed)
		if err != nil {
			t.Fatalf("%s, seed %d: %v", shape, seed, err)
		}
		sum.time += one.time
		sum.calls += one.calls
		sum.empty += one.empty
		sum.ends += one.ends
		sum.parts += one.parts
		sum.peak = max(sum.peak, one.peak)
	}
	runs := float64(*simRuns)
	least := math.Ceil(float64(keys)/float64(s.page)) * runs
	got := bound{sum.time / runs, float64(sum.calls) / least}
	t.Logf("| %-10s | %.1f | %.3f | %.3f | %.3f | %d | %.3f |", shape, got.trips, got.calls,
		float64(sum.empty)/least, sum.parts/least, sum.peak>>20, float64(sum.ends)/least)
	if sum.peak > s.budget+s.budget/8 {
		t.Errorf("%s: %d MiB held", shape, sum.peak>>20)
	}
	return got
}
