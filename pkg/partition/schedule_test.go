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
	id, cut := p.ID, ""
	if last, ok := s.last[id]; ok {
		var left bool
		if p, left = p.Resume(last, s.breaks); !left {
			return true
		}
		cut = last.Cut
	}
	owned, ahead := p.Owned(s.breaks), forecast.New(&s.known)
	at, open := "", []string(nil)
	cover := func(c partition.Cover) (dead bool) {
		c.Cut = cut
		s.last[id] = c
		s.chain.Add(c)
		return s.dies()
	}
	closeRange := func() (dead bool) {
		r := toyRange(open)
		c := partition.Cover{Span: partition.Span{After: at, Upto: r.MaxKey}, Range: r}
		at, open = r.MaxKey, nil
		return cover(c)
	}
	i, found := slices.BinarySearch(s.keys, p.After)
	if found {
		i++
	}
	for page := 1 + s.rnd.IntN(30); i < len(s.keys); i += page {
		keys := s.keys[i:min(i+page, len(s.keys))]
		from, to, end := owned.Take(len(keys), func(i int) []byte { return []byte(keys[i]) })
		if start, known := owned.Start(); known {
			at = max(at, start)
		}
		for _, k := range keys[from:to] {
			open = append(open, k)
			if s.breaks.EndsAfter([]byte(k), uint64(len(open))) {
				if closeRange() {
					return false
				}
				if owned.EndsWith([]byte(k)) {
					return true
				}
				if s.rnd.IntN(50) == 0 { // it gives way to others
					if rest, left := owned.Rest(k); left {
						s.queue = append(s.queue, rest)
					}
					return true
				}
			}
		}
		if end {
			return len(open) == 0 || !closeRange()
		}
		ahead.Note(len(keys), func(i int) []byte { return []byte(keys[i]) })
		if s.rnd.IntN(8) == 0 {
			given, dead := s.handOver(p, owned, ahead, keys[len(keys)-1])
			if dead {
				return false
			}
			if given != "" {
				owned.Cut(given)
				cut = given
			}
		}
	}
	if len(open) > 0 && closeRange() {
		return false
	}
	if start, known := owned.Start(); known { // perhaps before any key, if nothing was left
		return !cover(partition.Cover{Span: partition.Span{After: max(at, start)}})
	}
	return true
}

// handOver queues pieces of what follows the last key listed.
func (s *schedule) handOver(p partition.Partition, owned *partition.Owned, ahead *forecast.Forecast, last string) (cut string, dead bool) {
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
		t.Errorf("%d pieces were handed over, %d deliveries died: too few to tell anything", handed, crashes)
	}
}
