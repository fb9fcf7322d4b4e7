package progress_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// world is an import whose keys are numbers, and workers that list it, are killed, and whose
// reports are lost, late and doubled. Ranges end at fixed boundaries.
type world struct {
	rnd        *rand.Rand
	keys       int
	boundaries []int // numbers of keys before them, from 0 to keys
	now        time.Time

	queue   []part
	workers []*lister
	names   int

	seen  []bool // keys that a worker has listed: the twin
	chain partition.Chain
	log   []partition.Cover // stored, and not come in yet
	mail  []progress.Report
	tally progress.Tally
}

// part is the partition between two boundaries.
type part struct{ from, to int }

// lister is a worker that lists a partition.
type lister struct {
	part
	name    string
	at      int // keys before its next one
	covered int // boundaries before its last cover's end
	number  int64
}

func key(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf("k%06d", i)
}

func (p part) id() string { return fmt.Sprint(p.from, "-", p.to) }

func newWorld(rnd *rand.Rand) *world {
	w := &world{rnd: rnd, keys: 50 + rnd.IntN(500), now: time.Unix(1e9, 0), boundaries: []int{0}}
	for at := 1 + rnd.IntN(20); at < w.keys; at += 1 + rnd.IntN(20) {
		w.boundaries = append(w.boundaries, at)
	}
	w.boundaries = append(w.boundaries, w.keys)
	w.seen = make([]bool, w.keys)
	w.queue = []part{{0, len(w.boundaries) - 1}}
	return w
}

func (w *world) tell(l *lister, state progress.State) {
	l.number++
	r := progress.Report{
		ImportID: "i", PartitionID: l.id(), Worker: l.name, Delivery: l.name, Number: l.number, State: state,
		Span: partition.Span{After: key(w.boundaries[l.covered]), Upto: key(l.at)}, Keys: int64(l.at - w.boundaries[l.covered]),
		Throttles: l.number, Retries: 1,
	}
	if state != progress.Listing {
		r.Span, r.Keys = partition.Span{}, 0
	}
	for range w.rnd.IntN(3) { // lost, or sent twice
		w.mail = append(w.mail, r)
	}
}

// step lets a worker list a few keys, publish covers, cut its partition, end or die.
func (w *world) step(i int) {
	l := w.workers[i]
	end := w.boundaries[l.to]
	for range w.rnd.IntN(12) {
		if l.at < end {
			w.seen[l.at] = true
			l.at++
		}
	}
	for l.covered < l.to && w.boundaries[l.covered+1] <= l.at && w.rnd.IntN(3) > 0 {
		w.cover(l)
	}
	w.tell(l, progress.Listing)
	switch {
	case w.rnd.IntN(15) == 0: // killed; its partition is delivered again
		w.drop(i)
		w.queue = append(w.queue, l.part)
	case w.rnd.IntN(15) == 0: // taken for dead: another one gets it, too
		w.queue = append(w.queue, l.part)
	case w.rnd.IntN(8) == 0 && l.covered+2 < l.to && w.boundaries[l.to-1] > l.at:
		cut := l.to - 1
		w.queue = append(w.queue, part{cut, l.to})
		if w.rnd.IntN(3) > 0 { // else it dies before it knows of the cut
			l.to = cut
		}
	case l.covered == l.to:
		w.tell(l, progress.Over)
		w.drop(i)
	}
}

func (w *world) cover(l *lister) {
	from, to := w.boundaries[l.covered], w.boundaries[l.covered+1]
	l.covered++
	w.log = append(w.log, partition.Cover{Span: partition.Span{After: key(from), Upto: key(to)}, Range: &partition.RangeMetadata{
		ID: fmt.Sprintf("%064x", to), MinKey: key(from + 1), MaxKey: key(to), Count: int64(to - from), EstimatedSize: 1,
	}})
}

func (w *world) drop(i int) { w.workers = slices.Delete(w.workers, i, i+1) }

func (w *world) deliver() {
	if len(w.queue) == 0 || len(w.workers) > 6 {
		return
	}
	p := w.queue[0]
	w.queue = w.queue[1:]
	w.names++
	l := &lister{part: p, name: fmt.Sprint("w", w.names), covered: p.from}
	for l.covered < l.to { // it goes on after the last cover of its partition
		if _, ok := w.stored(l.covered); !ok {
			break
		}
		l.covered++
	}
	l.at = w.boundaries[l.covered]
	w.workers = append(w.workers, l)
}

// stored returns the cover that starts at a boundary, if it is stored.
func (w *world) stored(boundary int) (partition.Cover, bool) {
	after := key(w.boundaries[boundary])
	for _, c := range w.log {
		if c.After == after {
			return c, true
		}
	}
	return w.chain.Next(after)
}

// post lets some of the covers come in, in order, and some of the reports, in any order.
func (w *world) post() {
	for len(w.log) > 0 && w.rnd.IntN(3) > 0 {
		w.chain.Add(w.log[0])
		w.log = w.log[1:]
	}
	for len(w.mail) > 0 && w.rnd.IntN(4) > 0 {
		i := w.rnd.IntN(min(len(w.mail), 5))
		w.tally.Take(w.mail[i], w.now)
		w.mail = slices.Delete(w.mail, i, i+1)
	}
	if w.rnd.IntN(10) == 0 {
		w.tally.Keep(w.now, func(string) bool { return w.rnd.IntN(2) == 0 })
	}
}

func (w *world) covered() int64 { return w.chain.Fold().Objects }

// TestListedIsTrue compares what a tally says with the keys that were listed: it never says
// more, never less than what is covered or what it said before, and in the end all of them.
func TestListedIsTrue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 1))
	ahead := 0
	for round := range 400 {
		w := newWorld(rnd)
		var before int64
		for steps := 0; w.covered() < int64(w.keys); steps++ {
			if steps > 100_000 {
				t.Fatalf("round %d does not end", round)
			}
			w.now = w.now.Add(time.Duration(rnd.IntN(1000)) * time.Millisecond)
			w.deliver()
			if len(w.workers) > 0 {
				w.step(rnd.IntN(len(w.workers)))
			}
			w.post()
			if len(w.queue)+len(w.workers)+len(w.log) == 0 {
				w.queue = append(w.queue, part{0, len(w.boundaries) - 1}) // a gap is queued again
			}
			before = w.check(t, round, before, &ahead)
		}
		if got := w.tally.Look(&w.chain, w.covered(), 0, w.now, time.Minute).Listed; got != int64(w.keys) {
			t.Fatalf("round %d: %d keys were listed in the end, want %d", round, got, w.keys)
		}
	}
	if ahead < 1000 {
		t.Errorf("reports showed more than covers in %d looks only", ahead)
	}
}

func (w *world) check(t *testing.T, round int, before int64, ahead *int) int64 {
	t.Helper()
	covered, listed := w.covered(), int64(0)
	for _, seen := range w.seen {
		if seen {
			listed++
		}
	}
	got := w.tally.Look(&w.chain, covered, len(w.workers)+len(w.queue), w.now, time.Minute).Listed
	if got < before || got < covered || got > listed {
		t.Fatalf("round %d: %d keys are said to be listed, which were %d; %d are covered, and it said %d before", round, got, listed, covered, before)
	}
	if got > covered {
		*ahead++
	}
	return got
}

// Without losses a tally knows each key as soon as it is reported.
func TestListedIsComplete(t *testing.T) {
	var tally progress.Tally
	var chain partition.Chain
	now := time.Unix(0, 0)
	report := func(id, after, upto string, keys int64, number int64) {
		tally.Take(progress.Report{
			PartitionID: id, Worker: "w" + id, Delivery: "d" + id, Number: number, State: progress.Listing,
			Span: partition.Span{After: after, Upto: upto}, Keys: keys, Throttles: 2 * number, Retries: 3 * number,
			Left: progress.NewGuess(10, 20, 40),
		}, now)
	}
	report("a", "", "c", 3, 1)
	report("b", "m", "p", 4, 1)
	p := tally.Look(&chain, 0, 2, now, time.Minute)
	if want := (progress.Progress{
		Listed: 7, Estimate: progress.Guess{Keys: 47, Low: 27, High: 87, Some: true}, Workers: 2, Running: 2, Throttles: 4, Retries: 6, LastReport: now,
	}); p != want {
		t.Errorf("two partitions: %+v, want %+v", p, want)
	}
	chain.Add(partition.Cover{Span: partition.Span{Upto: "b"}, Range: &partition.RangeMetadata{MinKey: "a", MaxKey: "b", Count: 2}})
	report("a", "", "c", 3, 2) // it crossed the cover
	now = now.Add(time.Second)
	report("b", "m", "q", 6, 2)
	report("b", "m", "n", 1, 1) // late
	p = tally.Look(&chain, 2, 2, now, time.Minute)
	if p.Listed != 9 || p.PerSecond != 2 || p.Remaining != 20*time.Second || p.Throttles != 8 || p.Retries != 12 {
		t.Errorf("after a cover: %+v", p)
	}
	now = now.Add(time.Hour) // both workers are gone; their keys are listed again
	p = tally.Look(&chain, 2, 2, now, time.Minute)
	if p.Listed != 9 || p.Running != 0 || p.Remaining != 0 || p.Estimate.Keys != 9+20+1+20+6 {
		t.Errorf("without workers: %+v", p)
	}
	tally.Keep(now, func(string) bool { return false })
	if p = tally.Look(&chain, 2, 0, now, time.Minute); p.Estimate.Keys != 9 {
		t.Errorf("without partitions: %+v", p)
	}
}

// A delivery that ends before it lists anything does not undo what the one before it found out.
func TestFruitlessDeliveryKeepsTheEstimate(t *testing.T) {
	var tally progress.Tally
	var chain partition.Chain
	now := time.Unix(0, 0)
	report := func(delivery string, number int64, state progress.State, left progress.Guess) {
		r := progress.Report{PartitionID: "p", Worker: "w", Delivery: delivery, Number: number, State: state, Left: left}
		if state == progress.Listing {
			r.Span, r.Keys = partition.Span{After: "a", Upto: "b"}, 10
		}
		tally.Take(r, now)
	}
	report("first", 1, progress.Listing, progress.NewGuess(10, 80, 200))
	report("first", 2, progress.Waiting, progress.NewGuess(10, 90, 200))
	before := tally.Look(&chain, 10, 1, now, time.Minute).Estimate
	report("second", 1, progress.Waiting, progress.Guess{})
	if after := tally.Look(&chain, 10, 1, now, time.Minute).Estimate; after != before || before.Keys != 100 {
		t.Errorf("the estimate is %+v, and was %+v before", after, before)
	}
	report("third", 1, progress.Waiting, progress.NewGuess(0, 5, 10))
	if after := tally.Look(&chain, 10, 1, now, time.Minute).Estimate; after.Keys != 15 {
		t.Errorf("the estimate is %+v after a delivery that listed", after)
	}
}

// The time that is left is not told while there may be much less to list than is expected.
func TestRemainingIsToldOnceItIsWorthIt(t *testing.T) {
	for keys, told := range map[float64]bool{80: true, 1000: false} {
		var tally progress.Tally
		var chain partition.Chain
		now := time.Unix(0, 0)
		report := func(number int64, upto string) progress.Progress {
			tally.Take(progress.Report{
				PartitionID: "p", Worker: "w", Delivery: "d", Number: number, State: progress.Listing,
				Span: partition.Span{After: "a", Upto: upto}, Keys: 10 * number, Left: progress.NewGuess(10, keys, 2000),
			}, now)
			return tally.Look(&chain, 0, 1, now, time.Minute)
		}
		report(1, "b")
		now = now.Add(time.Second)
		if p := report(2, "c"); (p.Remaining > 0) != told || p.PerSecond != 10 {
			t.Errorf("%v keys are expected, 10 at least: %+v", keys, p)
		}
	}
}

// Of two deliveries that list the same keys, one counts.
func TestNoKeyCountsTwice(t *testing.T) {
	var tally progress.Tally
	var chain partition.Chain
	now := time.Unix(0, 0)
	for i, s := range []partition.Span{{After: "b", Upto: "f"}, {After: "", Upto: "d"}, {After: "d", Upto: "h"}} {
		tally.Take(progress.Report{PartitionID: fmt.Sprint(i), State: progress.Listing, Span: s, Keys: 4}, now)
	}
	if p := tally.Look(&chain, 0, 3, now, time.Minute); p.Listed != 8 {
		t.Errorf("%d keys were listed, want 8", p.Listed)
	}
	chain.Add(partition.Cover{Span: partition.Span{After: "e", Upto: "g"}, Range: &partition.RangeMetadata{MinKey: "f", MaxKey: "g", Count: 2}})
	if p := tally.Look(&chain, 2, 3, now, time.Minute); p.Listed != 8 {
		t.Errorf("%d keys were listed after a cover, want 8: it fell or rose", p.Listed)
	}
}
