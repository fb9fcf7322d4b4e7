// Package fleetsim simulates how a fleet of workers shares the keys of one
// import: with the partitions, forecasts and hand-overs of pkg/partition, but
// without stores, queues or clocks, so that a thousand workers and 10^9 keys take
// seconds.
//
// What is simulated: an import begins as one partition. Each slot of a worker
// lists one partition at a time at a steady rate, after a pause in which it starts.
// At each look all that list hear how many wait, and those that are elected give.
// Both sides of a cut list the keys up to the next anchor.
package fleetsim

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Config is a fleet and its import.
type Config struct {
	Keys    keyset.Set
	Breaks  partition.Breaks // ranges are taken to end at anchors alone
	Workers int              // that list one partition at a time, at least 1

	Rate  float64 // keys a second that one lists
	Start float64 // seconds from a partition's being queued to its first key
	Look  float64 // seconds between two looks at who waits
	Page  int64   // keys that a LIST returns
	Ahead int64   // keys that are listed in vain past the end of a partition
	Seed  uint64  // of anchors and elections
}

// Default is a fleet such as one meets: a worker that may have 40 LISTs of 100 ms
// in flight, and the worker's and the queue's constants.
func Default(keys keyset.Set, workers int) Config {
	return Config{
		Keys: keys, Breaks: partition.DefaultBreaks, Workers: workers,
		Rate: 400_000, Start: 0.3, Look: 1, Page: 1000, Ahead: 4000, Seed: 1,
	}
}

// Result is what an import took.
type Result struct {
	Seconds    float64
	Ideal      float64 // seconds, were all workers listing from the first moment to the last, and no key twice
	Lists      int64   // LIST calls
	Least      int64   // LIST calls that one listing of all keys takes
	Partitions int
	Messages   int     // to the queue: partitions, their acknowledgements and covers
	Busy       float64 // seconds until half of the workers had something to list for the first time; Seconds if never
}

// Time returns Seconds over Ideal.
func (r Result) Time() float64 { return r.Seconds / r.Ideal }

// Waste returns Lists over Least.
func (r Result) Waste() float64 { return float64(r.Lists) / float64(r.Least) }

// cutPart is the worker's.
const cutPart = 2

// fleet is a simulation that runs. Places of keys are ranks: the number of keys
// before.
type fleet struct {
	Config
	rnd     *rand.Rand
	anchors []int64 // ranks, increasing
	now     float64
	waiting int
	running []*listing
	pending []*listing
	owned   [][2]int64
	result  Result
}

// listing is a partition and how far it got.
type listing struct {
	after, upto string // upto "" is the end of all keys
	from, end   int64  // ranks of the first key that is listed, and past the last one
	owns        bool   // anything
	begun       float64
	shown, cut  int64 // ranks up to which the forecast was shown keys, and where it was cut last
	forecast    *partition.Forecast
}

// Run simulates an import. The error says that a key was listed by nobody or by
// two, which is a fault of the simulation.
func Run(cfg Config) (Result, error) {
	f := &fleet{Config: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 1)), waiting: cfg.Workers}
	n := cfg.Keys.Len()
	for at := f.gap(); at < n; at += f.gap() {
		f.anchors = append(f.anchors, at)
	}
	f.result.Least = (n + cfg.Page - 1) / cfg.Page
	f.result.Ideal = float64(n) / cfg.Rate / float64(cfg.Workers)
	f.publish("", "")
	for look := cfg.Look; len(f.running) > 0; look += cfg.Look {
		f.until(look)
		f.share()
	}
	r := &f.result
	r.Seconds = f.now
	if r.Busy == 0 {
		r.Busy = r.Seconds
	}
	r.Messages = 2*r.Partitions + len(f.anchors) + 1
	return *r, f.check()
}

// gap returns how many keys lie between two anchors.
func (f *fleet) gap() int64 {
	return 1 + int64(f.rnd.ExpFloat64()*float64(f.Breaks.Raggedness-1))
}

// boundary returns the rank past the first anchor at or after a rank.
func (f *fleet) boundary(rank int64) int64 {
	i := sort.Search(len(f.anchors), func(i int) bool { return f.anchors[i] >= rank })
	if i == len(f.anchors) {
		return f.Keys.Len()
	}
	return f.anchors[i] + 1
}

// publish queues a partition.
func (f *fleet) publish(after, upto string) {
	l := &listing{after: after, upto: upto, forecast: partition.NewForecast(new(partition.Known))}
	if after != "" {
		l.from = f.Keys.Rank(after)
	}
	l.shown, l.cut = l.from, l.from
	f.bound(l, upto)
	f.result.Partitions++
	f.pending = append(f.pending, l)
	f.deliver()
}

// bound sets where a listing ends.
func (f *fleet) bound(l *listing, upto string) {
	l.upto, l.end, l.owns = upto, f.Keys.Len(), true
	if upto == "" {
		return
	}
	rank := f.Keys.Rank(upto)
	l.end = f.boundary(rank)
	if l.after != "" && f.boundary(l.from) > rank { // no anchor within
		l.end, l.owns = min(rank+1, f.Keys.Len()), false
	}
}

func (f *fleet) deliver() {
	for f.waiting > 0 && len(f.pending) > 0 {
		l := f.pending[0]
		f.pending, f.running = f.pending[1:], append(f.running, l)
		f.waiting--
		l.begun = f.now
	}
	if f.result.Busy == 0 && f.waiting <= f.Workers/2 {
		f.result.Busy = max(f.now, 1e-9)
	}
}

func (f *fleet) ends(l *listing) float64 {
	return l.begun + f.Start + float64(l.end-l.from)/f.Rate
}

// until lets time pass.
func (f *fleet) until(now float64) {
	for len(f.running) > 0 {
		i := 0
		for j, l := range f.running {
			if f.ends(l) < f.ends(f.running[i]) {
				i = j
			}
		}
		l := f.running[i]
		if f.ends(l) > now {
			break
		}
		f.now = f.ends(l)
		f.running = slices.Delete(f.running, i, i+1)
		f.finish(l)
	}
	if len(f.running) > 0 {
		f.now = now
	}
}

func (f *fleet) finish(l *listing) {
	ahead := min(f.Ahead, f.Keys.Len()-l.end)
	f.result.Lists += 1 + (l.end-l.from+ahead)/f.Page
	if l.owns {
		start := l.from
		if l.after != "" {
			start = f.boundary(l.from)
		}
		f.owned = append(f.owned, [2]int64{start, l.end})
	}
	f.waiting++
	f.deliver()
}

// share lets those that list give to those that wait.
func (f *fleet) share() {
	idle, busy := f.waiting, len(f.running)
	for _, l := range slices.Clone(f.running) {
		at := f.at(l)
		f.show(l, at)
		if len(f.pending) > 0 || idle == 0 || (at-l.cut)*cutPart < int64(f.Breaks.Raggedness) {
			continue
		}
		if f.rnd.Float64()*float64(busy) < 2*float64(idle) {
			f.give(l, at, f.Breaks.Pieces(l.forecast.Left(l.upto), idle, busy))
		}
	}
}

// at returns how far a listing is.
func (f *fleet) at(l *listing) int64 {
	return min(l.end, l.from+int64(max(0, f.now-l.begun-f.Start)*f.Rate))
}

// show shows the forecast what was listed since.
func (f *fleet) show(l *listing, at int64) {
	from := l.shown
	if at > from {
		l.forecast.See(int(at-from), func(i int) string { return f.Keys.Key(from + int64(i)) })
		l.shown = at
	}
}

// give cuts a listing into pieces for others.
func (f *fleet) give(l *listing, at int64, n int) {
	upto := l.upto
	cuts := l.forecast.Cuts(upto, n)
	if len(cuts) == 0 {
		return
	}
	l.cut = at
	f.bound(l, cuts[0])
	l.end = max(l.end, at)
	for i, cut := range cuts {
		if i+1 < len(cuts) {
			f.publish(cut, cuts[i+1])
		} else {
			f.publish(cut, upto)
		}
	}
}

// check sees that every key has one owner.
func (f *fleet) check() error {
	slices.SortFunc(f.owned, func(a, b [2]int64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	at := int64(0)
	for _, o := range f.owned {
		if o[0] != at {
			return fmt.Errorf("keys up to %d are owned, then those from %d", at, o[0])
		}
		at = o[1]
	}
	if at != f.Keys.Len() || math.IsNaN(f.now) {
		return fmt.Errorf("%d of %d keys are owned", at, f.Keys.Len())
	}
	return nil
}
