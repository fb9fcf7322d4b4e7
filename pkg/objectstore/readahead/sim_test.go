package readahead

import (
	"container/heap"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// slice is a page of a keySet.
type slice struct {
	set    *keySet
	lo, hi int
}

const simBytes = 100 // of memory for each entry

func (s slice) Len() int         { return s.hi - s.lo }
func (s slice) Key(i int) string { return s.set.key(s.lo + i) }
func (s slice) Bytes() int       { return simBytes * s.Len() }
func (s slice) Head(n int) slice { return slice{s.set, s.lo, s.lo + n} }

type event struct {
	at   float64
	call call[slice]
	take bool
}
type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any          { o := *e; x := o[len(o)-1]; *e = o[:len(o)-1]; return x }

type sim struct {
	set     keySet
	page    int                              // keys
	limit   int                              // LISTs in flight
	window  int                              // pages
	consume float64                          // time for a page; a LIST takes 1 on average
	trace   func(format string, args ...any) // nil: none
}

type outcome struct {
	time  float64
	calls int
	peak  int // bytes held
	busy  float64
}

func (s sim) run(seed uint64) (outcome, error) {
	r := rand.New(rand.NewPCG(seed, 2))
	p := newPlan[slice]("", "", "", s.window*s.page*simBytes)
	var q events
	var out outcome
	now, next, taking := 0.0, 0, false
	for {
		for {
			c, ok := p.next(s.limit)
			if !ok {
				break
			}
			out.calls++
			d := 0.6 + 0.8*r.Float64()
			out.busy += d
			heap.Push(&q, event{at: now + d, call: c})
		}
		for !taking {
			page, ok, done := p.take()
			if done {
				if next != s.set.len() {
					return out, fmt.Errorf("%d of %d keys", next, s.set.len())
				}
				out.time = now
				return out, nil
			}
			if !ok {
				break
			}
			if page.lo != next {
				return out, fmt.Errorf("page starts at %d, not %d", page.lo, next)
			}
			next = page.hi
			if s.consume > 0 {
				taking = true
				heap.Push(&q, event{at: now + s.consume, take: true})
			}
		}
		if q.Len() == 0 {
			return out, fmt.Errorf("stuck after %d keys", next)
		}
		e := heap.Pop(&q).(event)
		now = e.at
		if e.take {
			taking = false
			continue
		}
		lo := s.set.after(e.call.after)
		hi := min(lo+s.page, s.set.len())
		if s.trace != nil {
			seg := e.call.segment
			kept := hi
			if seg.hi != "" {
				kept = min(hi, max(lo, s.set.after(seg.hi)))
			}
			s.trace("%6.2f after %-60.60q hi %-60.60q rank %d keep %d rest %.1f inflight %d held %d", now, e.call.after, seg.hi, lo, kept-lo, seg.rest, p.inFlight, p.held/simBytes/s.page)
		}
		p.arrived(e.call, slice{&s.set, lo, hi}, hi < s.set.len())
		out.peak = max(out.peak, p.held)
	}
}

// The size of the simulation: by default small, with as many pages as a million
// keys have. docs/listing.md has the tables of this
// size and of -sim.keys 1000000 -sim.page 100. With the page of a real store:
//
//	go test -run Shapes -v -sim.keys 1000000 -sim.page 1000
//	go test -run Shapes -v -sim.keys 10000000 -sim.page 1000 -timeout 1h
var (
	simKeys  = flag.Int("sim.keys", 200_000, "keys of each shape")
	simPage  = flag.Int("sim.page", 200, "keys of a page")
	simLimit = flag.Int("sim.limit", 40, "LISTs in flight")
	simHeld  = flag.Int("sim.held", 900, "pages that the budget holds")
	simShape = flag.Int("sim.shape", 0, "the only shape, from 1")
	simTrace = flag.Bool("sim.trace", false, "print each page as it arrives")
	simRuns  = flag.Int("sim.runs", 1, "runs of each shape, each with latencies of its own")
)

// consumption is how long the consumer takes for a page; a LIST takes 1.
const consumption = 0.01

// Bounds of what reading ahead costs on each shape, as reached, for about a
// thousand pages and 40 LISTs in flight.
const (
	usualTime, usualCalls = 1.65, 1.16
	worstTime, worstCalls = 2.4, 1.32 // of hardShapes
)

var hardShapes = []string{"zipf tenants", "multifractal clusters", "runs of z of any length"}

func TestShapes(t *testing.T) {
	t.Log("| shape | round trips | of the ideal | LISTs of the minimum | pages held |")
	var trace func(string, ...any)
	if *simTrace {
		trace = t.Logf
	}
	for i, shape := range shapes {
		if *simShape > 0 && i+1 != *simShape {
			continue
		}
		set := shape.keys(1, *simKeys)
		var sum outcome
		for seed := range uint64(*simRuns) {
			one, err := sim{
				set: set, page: *simPage, limit: *simLimit, window: *simHeld, consume: consumption, trace: trace,
			}.run(seed)
			if err != nil {
				t.Fatalf("%s, seed %d: %v", shape.name, seed, err)
			}
			sum.time += one.time / float64(*simRuns)
			sum.calls += one.calls
			sum.peak = max(sum.peak, one.peak)
		}
		least := math.Ceil(float64(set.len()) / float64(*simPage))
		ideal := sum.time / (least / float64(*simLimit))
		calls := float64(sum.calls) / float64(*simRuns) / least
		held := sum.peak / *simPage / simBytes
		t.Logf("| %s | %.1f | %.2f | %.3f | %d |", shape.name, sum.time, ideal, calls, held)
		maxTime, maxCalls := usualTime, usualCalls
		if slices.Contains(hardShapes, shape.name) {
			maxTime, maxCalls = worstTime, worstCalls
		}
		if ideal > maxTime || calls > maxCalls {
			t.Errorf("%s: %.2f of the ideal time, %.3f of the LISTs; want at most %.2f, %.3f", shape.name, ideal, calls, maxTime, maxCalls)
		}
		if held > *simHeld+*simLimit {
			t.Errorf("%s: %d pages held", shape.name, held)
		}
	}
}
