// Package fleetsim tests how fleets divide work. It simulates workers that share the keys of
// one import. It uses the partitions and hand-overs of pkg/partition and the forecasts of
// pkg/forecast, but no stores, queues or clocks. So a simulation of a thousand workers and 10^9
// keys takes seconds.
//
// An import begins as one partition. Each worker lists one partition at a time, at a constant
// rate after a delay. At regular looks, busy workers learn how many workers are idle, and
// broadcast how many keys they have left. Those with the most keys left hand over pieces. Both
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
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// config is a fleet and its import.
type config struct {
	Keys    keyset.Set
	Breaks  partition.Breaks // only anchors end ranges
	Workers int              // at least 1; each lists one partition at a time

	Rate   float64 // keys per second and worker
	Start  float64 // seconds from the queueing of a partition to its first key
	Look   float64 // seconds between looks while workers are idle
	Prompt float64 // least seconds between looks if a worker becomes idle, or begins to list while others are idle
	Gather float64 // seconds from a look until all have broadcast their keys left
	Page   int64   // keys per LIST
	Ahead  int64   // keys listed in vain past the end of a partition
	Seed   uint64  // seed of the anchors

	Watch func(f *fleet) // called once a second, if it is set
}

// defaultConfig returns a typical fleet: workers with 40 LISTs of 100 ms in flight, and the
// constants of the worker and the queue.
func defaultConfig(keys keyset.Set, workers int) config {
	return config{
		Keys: keys, Breaks: partition.DefaultBreaks, Workers: workers,
		Rate: 400_000, Start: 0.3, Look: 0.5, Prompt: 0.2, Gather: 0.1, Page: 1000, Ahead: 4000, Seed: 1,
	}
}

// result is the cost of an import.
type result struct {
	Seconds    float64
	Ideal      float64 // seconds if all workers were always busy and listed no key twice
	Lists      int64   // LIST calls
	Least      int64   // LIST calls of one listing of all keys
	Partitions int
	Messages   int     // to the queue: partitions, their acknowledgements and covers
	Busy       float64 // seconds until half of the workers were listing for the first time; Seconds if never
}

// Time returns Seconds over Ideal.
func (r result) Time() float64 { return r.Seconds / r.Ideal }

// Waste returns Lists over Least.
func (r result) Waste() float64 { return float64(r.Lists) / float64(r.Least) }

// cutPart is a constant of the worker, and settleIn one of the queue, in seconds.
const (
	cutPart  = 2
	settleIn = 0.05
)

// fleet is a running simulation. Positions of keys are ranks: the numbers of keys before them.
type fleet struct {
	config
	rnd     *rand.Rand
	anchors []int64 // ranks, increasing
	now     float64
	look    float64              // time of the next look
	looked  float64              // time of the last look
	idle    []*forecast.KeyModel // key models of idle workers, those that wait longest first
	running []*listing
	pending []*listing
	owned   [][2]int64
	watch   float64 // time of the next call of Watch
	result  result
}

// listing is a partition that is being listed.
type listing struct {
	after, upto string // upto "" means the end of all keys
	from, end   int64  // ranks of the first listed key, and of the key after the last one
	owns        bool   // it owns at least one key
	begun       float64
	known       *forecast.KeyModel // the key model of its worker
	guess       progress.Guess     // of its keys, by who cut it off, before it lists
	shown, cut  int64              // rank up to which the forecast has seen keys, and rank of the last cut
	forecast    *forecast.Forecast
}

// simulate simulates an import. It returns an error if a key has no owner or two owners, which
// is a bug of the simulation.
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
	f.publish("", "", progress.Guess{})
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

// gap returns the mean number of keys between two anchors.
func (f *fleet) gap() int64 {
	return 1 + int64(f.rnd.ExpFloat64()*float64(f.Breaks.Raggedness-1))
}

// boundary returns the rank after the first anchor at or after a rank.
func (f *fleet) boundary(rank int64) int64 {
	i := sort.Search(len(f.anchors), func(i int) bool { return f.anchors[i] >= rank })
	if i == len(f.anchors) {
		return f.Keys.Len()
	}
	return f.anchors[i] + 1
}

// publish queues a partition.
func (f *fleet) publish(after, upto string, guess progress.Guess) {
	l := &listing{after: after, upto: upto, guess: guess}
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
	if l.after != "" && f.boundary(l.from) > rank { // the listing has no anchor
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

// until simulates until *now, which may become earlier meanwhile.
func (f *fleet) until(now *float64) {
	for len(f.running) > 0 {
		i := 0
		for j, l := range f.running {
			if f.ends(l) < f.ends(f.running[i]) {
				i = j
			}
		}
		l := f.running[i]
		if next := min(f.ends(l), *now); f.Watch != nil && f.watch < next {
			f.now = f.watch
			f.watch++
			f.Watch(f)
			continue
		}
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
	if len(f.pending) == 0 { // the worker becomes idle
		f.prompt()
	}
	f.deliver()
}

// prompt schedules a look soon.
func (f *fleet) prompt() { f.look = min(f.look, max(f.now+settleIn, f.looked+f.Prompt)) }

// offers returns the listings that can hand over to idle workers, and the number of pieces of each.
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

// ready returns the time at which a listing can answer the last look for the first time, if it
// had listed too few keys at the time of the look.
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

// share lets those of the listings hand over that have not ended yet.
func (f *fleet) share(from []*listing, pieces []int) {
	for i, l := range from {
		if pieces[i] > 0 && slices.Contains(f.running, l) {
			at := f.at(l)
			f.show(l, at)
			f.give(l, at, pieces[i])
		}
	}
}

// at returns the rank up to which a listing has listed.
func (f *fleet) at(l *listing) int64 {
	return min(l.end, l.from+int64(max(0, f.now-l.begun-f.Start)*f.Rate))
}

// show adds the pages that were listed since the last call to the forecast.
func (f *fleet) show(l *listing, at int64) {
	for ; l.shown < at; l.shown = min(at, l.shown+f.Page) {
		n := min(f.Page, at-l.shown)
		l.forecast.Note(int(n), func(i int) []byte { return f.Keys.AppendKey(nil, l.shown+int64(i)) })
	}
}

// left returns about how many keys are left of a listing, as its worker reports it.
func (l *listing) left() progress.Guess {
	g := progress.NewGuess(l.forecast.Guess(l.upto))
	g.Wild = l.upto == ""
	return g
}

// give cuts n pieces off a listing for other workers.
func (f *fleet) give(l *listing, at int64, n int) {
	upto, guess := l.upto, l.left()
	cuts := l.forecast.Cuts(upto, n)
	if len(cuts) == 0 {
		return
	}
	l.cut = at
	f.bound(l, cuts[0])
	l.end = max(l.end, at)
	for i, cut := range cuts {
		if i+1 < len(cuts) {
			f.publish(cut, cuts[i+1], guess.Part(len(cuts)+1))
		} else {
			f.publish(cut, upto, guess.Part(len(cuts)+1))
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
