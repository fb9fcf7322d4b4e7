package readahead

import (
	"container/heap"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
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
	page    int     // keys
	limit   int     // LISTs in flight
	window  int     // pages
	consume float64 // time for a page; a LIST takes 1 on average
	trace   bool
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
		if s.trace {
			seg := e.call.segment
			kept := hi
			if seg.hi != "" {
				kept = min(hi, max(lo, s.set.after(seg.hi)))
			}
			fmt.Printf("%6.2f after %-60.60q hi %-60.60q rank %d keep %d rest %.1f inflight %d held %d\n", now, e.call.after, seg.hi, lo, kept-lo, seg.rest, p.inFlight, p.held/simBytes/s.page)
		}
		p.arrived(e.call, slice{&s.set, lo, hi}, hi < s.set.len())
		out.peak = max(out.peak, p.held)
	}
}

var (
	simN     = flag.Int("sim.n", 1_000_000, "keys")
	simPage  = flag.Int("sim.page", 1000, "keys of a page")
	simW     = flag.Int("sim.w", 40, "LISTs in flight")
	simB     = flag.Int("sim.window", 600, "pages in memory")
	simShape = flag.Int("sim.shape", 0, "one shape only")
	simTrace = flag.Bool("sim.trace", false, "")
	simC     = flag.Float64("sim.consume", 0.01, "")
)

func TestSim(t *testing.T) {
	st, sc := 0.0, 0.0
	worst, best, wc := 0.0, math.Inf(1), 0.0
	for i, sh := range shapes {
		if *simShape > 0 && i+1 != *simShape {
			continue
		}
		set := sh.keys(1, *simN)
		var o outcome
		const runs = 3
		for seed := range uint64(runs) {
			one, err := sim{set: set, page: *simPage, limit: *simW, window: *simB, consume: *simC, trace: *simTrace && seed == 0}.run(seed)
			if err != nil {
				t.Errorf("%s: %v", sh.name, err)
			}
			o.time += one.time / runs
			o.calls += one.calls
			o.busy += one.busy / runs
			o.peak = max(o.peak, one.peak)
		}
		least := math.Ceil(float64(set.len()) / float64(*simPage))
		ideal := least / float64(*simW)
		calls := float64(o.calls) / runs / least
		t.Logf("%2d %-34s rounds %6.1f time/ideal %5.2f calls %5.3f peak %4d pages  mean in flight %.1f", i+1, sh.name, o.time, o.time/ideal, calls, o.peak / *simPage / simBytes, o.busy/o.time)
		st, sc = st+o.time, sc+calls
		worst, best, wc = max(worst, o.time), min(best, o.time), max(wc, calls)
	}
	t.Logf("worst/best %.2f, worst calls %.3f; sum %.1f %.3f", worst/best, wc, st, sc/18)
}
