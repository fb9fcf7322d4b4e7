package partition_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/forecast"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

var schedules = flag.Int("schedules", 6, "schedules of each shape")

// schedule is a fleet that lists keys in any order. Each delivery may hand over keys
// after any page, at keys that a forecast proposes or at any others, give way, die
// between any two steps, be lost, or come twice.
type schedule struct {
	rnd     *rand.Rand
	keys    []string
	breaks  partition.Breaks
	queue   []partition.Partition
	last    map[string]partition.Cover // by partition
	chain   partition.Chain
	known   forecast.KeyModel
	handed  int
	crashes int
}

func (s *schedule) dies() bool {
	dead := s.rnd.IntN(40) == 0
	if dead {
		s.crashes++
	}
	return dead
}

// deliver works on a partition as a worker does, and reports whether it came to
// its end.
func (s *schedule) deliver(p partition.Partition) (done bool) {
	d := scheduled{s: s, id: p.ID}
	if last, ok := s.last[p.ID]; ok {
		var left bool
		if p, left = p.Resume(last, s.breaks); !left {
			return true
		}
		d.cut = last.Cut
	}
	d.owned = p.Owned(s.breaks)
	ahead := forecast.New(&s.known)
	i, found := slices.BinarySearch(s.keys, p.After)
	if found {
		i++
	}
	for page := 1 + s.rnd.IntN(30); i < len(s.keys); i += page {
		keys := s.keys[i:min(i+page, len(s.keys))]
		if ended := d.list(keys); ended || d.dead {
			return !d.dead
		}
		ahead.Note(len(keys), func(i int) []byte { return []byte(keys[i]) })
		if s.rnd.IntN(8) > 0 {
			continue
		}
		given, dead := s.handOver(d.owned, ahead, keys[len(keys)-1])
		if dead {
			return false
		}
		if given != "" {
			d.owned.Cut(given)
			d.cut = given
		}
	}
	d.closeRange()
	if start, known := d.owned.Start(); known && !d.dead { // perhaps before any key, if nothing was left
		d.cover(partition.Cover{Span: partition.Span{After: max(d.at, start)}})
	}
	return !d.dead
}

// scheduled is one delivery of a schedule.
type scheduled struct {
	s     *schedule
	id    string // of the partition
	owned *partition.Owned
	cut   string   // where the partition was cut
	at    string   // where the last cover ended
	open  []string // keys of the open range
	dead  bool
}

// list takes in a page, and reports whether the partition ends in it.
func (d *scheduled) list(keys []string) (ended bool) {
	from, to, end := d.owned.Take(len(keys), func(i int) []byte { return []byte(keys[i]) })
	if start, known := d.owned.Start(); known {
		d.at = max(d.at, start)
	}
	for _, k := range keys[from:to] {
		d.open = append(d.open, k)
		if !d.s.breaks.EndsAfter([]byte(k), uint64(len(d.open))) {
			continue
		}
		d.closeRange()
		if d.dead || d.owned.EndsWith([]byte(k)) {
			return true
		}
		if d.s.rnd.IntN(50) == 0 { // it gives way to others
			if rest, left := d.owned.Rest(k); left {
				d.s.queue = append(d.s.queue, rest)
			}
			return true
		}
	}
	if end {
		d.closeRange()
	}
	return end
}

// closeRange covers the open range, if there is one.
func (d *scheduled) closeRange() {
	if len(d.open) == 0 {
		return
	}
	r := toyRange(d.open)
	d.open = nil
	d.cover(partition.Cover{Span: partition.Span{After: d.at, Upto: r.MaxKey}, Range: r})
	d.at = r.MaxKey
}

// cover publishes a cover, after which the worker may die.
func (d *scheduled) cover(c partition.Cover) {
	c.Cut = d.cut
	d.s.last[d.id] = c
	d.s.chain.Add(c)
	d.dead = d.s.dies()
}

// handOver queues pieces of what follows the last key listed.
func (s *schedule) handOver(owned *partition.Owned, ahead *forecast.Forecast, last string) (cut string, dead bool) {
	upto, n := owned.Upto(), 1+s.rnd.IntN(4)
	cuts := ahead.Cuts(upto, n)
	if s.rnd.IntN(2) == 0 { // any keys of the set are as good
		cuts = nil
		for range n {
			k := s.keys[s.rnd.IntN(len(s.keys))]
			if k > last && (upto == "" || k < upto) {
				cuts = append(cuts, k)
			}
		}
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
	}
	pieces := owned.Pieces(cuts)
	for i, piece := range slices.Backward(pieces) {
		if s.dies() {
			return "", true
		}
		if s.rnd.IntN(10) == 0 { // the queue is full
			return cut, false
		}
		s.queue = append(s.queue, piece)
		s.handed++
		cut = cuts[i]
	}
	return cut, s.dies()
}

// run delivers until the covers chain.
func (s *schedule) run(t *testing.T) {
	s.last = make(map[string]partition.Cover)
	s.queue = []partition.Partition{partition.Whole("i")}
	for deliveries := 0; ; deliveries++ {
		if deliveries > 20_000 {
			t.Fatal("the schedule does not end")
		}
		if len(s.queue) == 0 {
			fold := s.chain.Fold()
			if fold.Complete() {
				return
			}
			s.queue = partition.Uncovered("i", fold.Gaps, nil)
			continue
		}
		i := s.rnd.IntN(len(s.queue))
		p := s.queue[i]
		switch s.rnd.IntN(12) {
		case 0: // lost
			s.queue = slices.Delete(s.queue, i, i+1)
		case 1: // delivered twice at a time
			s.deliver(p)
		default:
			s.queue = slices.Delete(s.queue, i, i+1)
			if !s.deliver(p) {
				s.queue = append(s.queue, p)
			}
		}
	}
}

func TestAnyScheduleGivesEveryKeyOnce(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 0))
	handed, crashes := 0, 0
	for _, shape := range keyset.Names() {
		for range *schedules {
			set, err := keyset.New(shape, 500+rnd.Int64N(1500), rnd.Uint64())
			if err != nil {
				t.Fatal(err)
			}
			s := schedule{
				rnd: rnd, keys: make([]string, set.Len()),
				breaks: partition.Breaks{MaxSize: 1 + rnd.Uint64N(80), Raggedness: 1 + rnd.Uint64N(60)},
			}
			for i := range s.keys {
				s.keys[i] = set.Key(int64(i))
			}
			s.run(t)
			fold := s.chain.Fold()
			if got, want := slices.Collect(fold.All()), canonical(s.keys, s.breaks); !slices.Equal(got, want) {
				t.Fatalf("%s: %d ranges\n%v, want %d\n%v", shape, len(got), got, len(want), want)
			}
			handed, crashes = handed+s.handed, crashes+s.crashes
		}
	}
	t.Logf("%d pieces handed over, %d crashes", handed, crashes)
	if handed < 100 || crashes < 100 {
		t.Errorf("%d pieces were handed over, %d deliveries died: too few to prove anything", handed, crashes)
	}
}
