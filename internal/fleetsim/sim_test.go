// Package fleetsim tests how fleets divide work. It simulates workers that share the keys of
// one import, with the partitions and hand-overs of pkg/partition and the forecasts of
// pkg/forecast, but
// without stores, queues or clocks, so that a thousand workers and 10^9 keys take
// seconds.
//
// An import begins as one partition. Each slot of a worker lists one partition at a time, at a
// steady rate, after a pause in which it starts. At each look all slots that list learn how
// many wait, and broadcast how much they have left; those with most hand over a part. Both
// sides of a cut list the keys up to the next anchor.
package fleetsim

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/forecast"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// config is a fleet and its import.
type config struct {
	Keys    keyset.Set
	Breaks  partition.Breaks // ranges are taken to end at anchors alone
	Workers int              // that list one partition at a time, at least 1

	Rate   float64 // keys a second that one lists
	Start  float64 // seconds until the first key of a partition that is queued
	Look   float64 // seconds between looks at how many wait, while some do
	Prompt float64 // least seconds between looks, if a worker begins to wait, or to list while others wait
	Gather float64 // seconds from a look until all have broadcast what they have left
	Page   int64   // keys that a LIST returns
	Ahead  int64   // keys that are listed unnecessarily, past the end of a partition
	Seed   uint64  // of anchors
}

// defaultConfig returns a typical fleet: workers with 40 LISTs of 100 ms in flight, and the
// constants of the worker and the queue.
func defaultConfig(keys keyset.Set, workers int) config {
	return config{
		Keys: keys, Breaks: partition.DefaultBreaks, Workers: workers,
		Rate: 400_000, Start: 0.3, Look: 0.5, Prompt: 0.2, Gather: 0.1, Page: 1000, Ahead: 4000, Seed: 1,
	}
}

// result is what an import took.
type result struct {
	Seconds    float64
	Ideal      float64 // seconds, if all workers listed all the time, and no key twice
	Lists      int64   // LIST calls
	Least      int64   // LIST calls that one listing of all keys takes
	Partitions int
	Messages   int     // to the queue: partitions, their acknowledgements and covers
	Busy       float64 // seconds until half of the workers were listing for the first time; Seconds if never
}

// Time returns Seconds over Ideal.
func (r result) Time() float64 { return r.Seconds / r.Ideal }

// Waste returns Lists over Least.
func (r result) Waste() float64 { return float64(r.Lists) / float64(r.Least) }

// cutPart is the worker's, settleIn the queue's, in seconds.
const (
	cutPart  = 2
	settleIn = 0.05
)

// fleet is a running simulation. Positions of keys are ranks: the number of keys before.
type fleet struct {
	config
	rnd     *rand.Rand
	anchors []int64 // ranks, increasing
	now     float64
	look    float64              // when the next one is
	looked  float64              // when the last one was
	idle    []*forecast.KeyModel // key models of the workers that wait, in order of waiting
	running []*listing
	pending []*listing
	owned   [][2]int64
	result  result
}

// listing is a partition and how far it got.
type listing struct {
	after, upto string // upto "" is the end of all keys
	from, end   int64  // ranks of the first key that is listed, and past the last one
	owns        bool   // anything
	begun       float64
	known       *forecast.KeyModel // of its worker
	shown, cut  int64              // ranks up to which the forecast was shown keys, and where it was cut last
	forecast    *forecast.Forecast
}

// simulate simulates an import. It returns an error if a key had no owner or two, which is a
// bug of the simulation.
func simulate(cfg config) (result, error) {
	f := &fleet{config: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 1))}
	n := cfg.Keys.Len()
	for at := f.gap(); at < n; at += f.gap() {
		f.anchors = append(f.anchors, at)
	}
	for range cfg.Workers {
		f.idle = append(f.idle, new(forecast.KeyModel))
	}
	f.result.Least = (n + cfg.Page - 1) / cfg.Page
	f.result.Ideal = float64(n) / cfg.Rate / float64(cfg.Workers)
	f.look, f.looked = cfg.Look, -cfg.Prompt
	f.publish("", "")
	for len(f.running) > 0 {
		f.until(&f.look)
		if len(f.pending) > 0 || len(f.idle) == 0 {
			f.looked, f.look = f.now, f.now+cfg.Look
			continue
		}
		offers, shares := f.offers()
		gathered := f.now + cfg.Gather
		f.until(&gathered)
		f.looked, f.look = f.now, min(f.now+cfg.Look, f.ready())
		f.share(offers, shares)
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
	l := &listing{after: after, upto: upto}
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
	for len(f.idle) > 0 && len(f.pending) > 0 {
		l := f.pending[0]
		f.pending, f.running = f.pending[1:], append(f.running, l)
		l.begun = f.now
		l.known, f.idle = f.idle[0], f.idle[1:]
		l.forecast = forecast.New(l.known)
		if len(f.idle) > 0 {
			f.prompt()
		}
	}
	if f.result.Busy == 0 && len(f.idle) <= f.Workers/2 {
		f.result.Busy = max(f.now, 1e-9)
	}
}

func (f *fleet) ends(l *listing) float64 {
	return l.begun + f.Start + float64(l.end-l.from)/f.Rate
}

// until advances the time to *now, which may become earlier meanwhile.
func (f *fleet) until(now *float64) {
	for len(f.running) > 0 {
		i := 0
		for j, l := range f.running {
			if f.ends(l) < f.ends(f.running[i]) {
				i = j
			}
		}
		l := f.running[i]
		if f.ends(l) > *now {
			break
		}
		f.now = f.ends(l)
		f.running = slices.Delete(f.running, i, i+1)
		f.finish(l)
	}
	if len(f.running) > 0 {
		f.now = *now
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
	f.idle = append(f.idle, l.known)
	if len(f.pending) == 0 { // it begins to wait
		f.prompt()
	}
	f.deliver()
}

// prompt schedules a look soon.
func (f *fleet) prompt() { f.look = min(f.look, max(f.now+settleIn, f.looked+f.Prompt)) }

// offers returns the listings that could hand over to workers that wait, and how many pieces each.
func (f *fleet) offers() (from []*listing, pieces []int) {
	var lefts []float64
	for _, l := range f.running {
		at := f.at(l)
		f.show(l, at)
		if (at-l.cut)*cutPart < int64(f.Breaks.Raggedness) {
			continue
		}
		if left := l.forecast.Left(l.upto); f.Breaks.Gives(left, f.Rate) > 0 {
			from, lefts = append(from, l), append(lefts, left)
		}
	}
	pieces = partition.Shares(lefts, len(f.idle))
	for i, left := range lefts {
		pieces[i] = min(pieces[i], f.Breaks.Gives(left, f.Rate))
	}
	return from, pieces
}

// ready returns when the first listing that had listed too little to offer a part at the last
// look has listed enough: then it answers that look.
func (f *fleet) ready() float64 {
	first := math.Inf(1)
	for _, l := range f.running {
		enough := l.cut + int64(f.Breaks.Raggedness)/cutPart
		if at := l.begun + f.Start + float64(enough-l.from)/f.Rate; at > f.now {
			first = min(first, at)
		}
	}
	return first
}

// share makes listings that have not ended since hand over.
func (f *fleet) share(from []*listing, pieces []int) {
	for i, l := range from {
		if pieces[i] > 0 && slices.Contains(f.running, l) {
			at := f.at(l)
			f.show(l, at)
			f.give(l, at, pieces[i])
		}
	}
}

// at returns the rank that a listing has reached.
func (f *fleet) at(l *listing) int64 {
	return min(l.end, l.from+int64(max(0, f.now-l.begun-f.Start)*f.Rate))
}

// show adds the pages listed since the last call to the forecast.
func (f *fleet) show(l *listing, at int64) {
	for ; l.shown < at; l.shown = min(at, l.shown+f.Page) {
		n := min(f.Page, at-l.shown)
		l.forecast.Note(int(n), func(i int) []byte { return f.Keys.AppendKey(nil, l.shown+int64(i)) })
	}
}

// give cuts pieces of a listing off, for other workers.
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

// check checks that every key has exactly one owner.
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
