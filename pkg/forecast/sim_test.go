package forecast_test

import (
	events "container/heap"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/forecast"
)

// sim lists a set with listers that each list one range of it at a time, page by page, as
// workers list the partitions of an import. A lister that has nothing to list is given a piece
// of the range that is thought to have most left.
type sim struct {
	set     keyset.Set
	page    int
	listers int
	rnd     *rand.Rand
	trace   func(string, ...any)

	now    float64
	calls  int
	cuts   int
	idle   int
	ranges []*simRange // not done
	flying simFlights
	kept   [][2]int64 // ranks
	known  forecast.KeyModel
}

// simRange is a range (after, upto] in the hands of a lister.
type simRange struct {
	after, upto string
	next        int64 // rank of the first key after
	begun       bool  // its first page has arrived
	forecast    *forecast.Forecast
	left        float64 // keys, if reckoned
	reckoned    bool
}

type simFlight struct {
	at float64
	r  *simRange
}
type simFlights []simFlight

func (f simFlights) Len() int           { return len(f) }
func (f simFlights) Less(i, j int) bool { return f[i].at < f[j].at }
func (f simFlights) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *simFlights) Push(x any)        { *f = append(*f, x.(simFlight)) }
func (f *simFlights) Pop() any          { o := *f; x := o[len(o)-1]; *f = o[:len(o)-1]; return x }

func (s *sim) fly(r *simRange) {
	s.calls++
	events.Push(&s.flying, simFlight{s.now + 0.6 + 0.8*s.rnd.Float64(), r})
}

func (s *sim) begin(after, upto string) {
	r := &simRange{after: after, upto: upto, next: s.set.Rank(after), forecast: forecast.New(&s.known)}
	s.ranges = append(s.ranges, r)
	s.idle--
	s.fly(r)
}

func (s *sim) run() error {
	s.idle = s.listers
	s.begin("", "")
	for len(s.flying) > 0 {
		f := events.Pop(&s.flying).(simFlight)
		s.now = f.at
		if s.arrive(f.r) {
			s.idle++
			s.ranges = slices.Delete(s.ranges, slices.Index(s.ranges, f.r), slices.Index(s.ranges, f.r)+1)
		} else {
			s.fly(f.r)
		}
		for s.idle > 0 && s.handOver() {
		}
	}
	return s.check()
}

// arrive takes in a page, and reports whether the range is done.
func (s *sim) arrive(r *simRange) bool {
	from := r.next
	to := min(from+int64(s.page), s.set.Len())
	done := to == s.set.Len()
	if r.upto != "" && from < to && s.set.Key(to-1) >= r.upto {
		to = min(to, max(from, s.set.Rank(r.upto)))
		done = true
	}
	if s.trace != nil {
		s.trace("%6.2f after %.50q upto %.50q rank %d kept %d of %d; left %.1f idle %d", s.now, r.after, r.upto, from, to-from, s.page, r.left/float64(s.page), s.idle)
	}
	r.begun = true
	if to > from {
		s.kept = append(s.kept, [2]int64{from, to})
		r.forecast.See(int(to-from), func(i int) string { return s.set.Key(from + int64(i)) })
		r.after, r.next = s.set.Key(to-1), to
		r.reckoned = false
	}
	return done
}

func (s *sim) leftOf(r *simRange) float64 {
	if !r.begun {
		return 0
	}
	if !r.reckoned {
		r.left, r.reckoned = r.forecast.Left(r.upto), true
	}
	return r.left
}

// handOver gives idle listers pieces of the range that is thought to have most
// left, and reports whether it may be called again.
func (s *sim) handOver() bool {
	page := float64(s.page)
	var victim *simRange
	most, total := 3*page, 0.0
	for _, r := range s.ranges {
		left := s.leftOf(r)
		if total += left; left > most {
			victim, most = r, left
		}
	}
	many := 4*s.listers + int(s.set.Len()/int64(s.page)/20)
	if victim == nil || s.cuts > many && most < 8*page {
		return false
	}
	early := s.listers/2 + 2*len(s.kept) - s.cuts // guesses must not outrun what is known
	n := min(s.idle, max(1, int(float64(s.listers)*most/total)), int(most/page/2), early)
	if n < 1 {
		return false
	}
	cuts := victim.forecast.Cuts(victim.upto, n)
	if s.trace != nil {
		s.trace("%6.2f cut after %.50q upto %.50q left %.1f into %.50q", s.now, victim.after, victim.upto, most/page, cuts)
	}
	victim.left, victim.reckoned = 0, true // not again before its next page
	s.cuts += len(cuts)
	for i, cut := range cuts {
		end := victim.upto
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		s.begin(cut, end)
	}
	if len(cuts) > 0 {
		victim.upto = cuts[0]
	}
	return true
}

func (s *sim) check() error {
	slices.SortFunc(s.kept, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	at := int64(0)
	for _, k := range s.kept {
		if k[0] != at {
			return fmt.Errorf("keys from %d to %d are missing or double", at, k[0])
		}
		at = k[1]
	}
	if at != s.set.Len() {
		return fmt.Errorf("%d of %d keys", at, s.set.Len())
	}
	return nil
}

// The size of the simulation. A million keys in pages of 100 are as many pages as
// a store's of ten million keys. With other sizes nothing is asserted but that
// every key is listed once:
//
//	go test -run SharedEvenly -v -sim.keys 10000000 -sim.page 1000
var (
	simKeys  = flag.Int64("sim.keys", 1_000_000, "keys of each shape")
	simPage  = flag.Int("sim.page", 100, "keys of a page")
	simShape = flag.String("sim.shape", "", "the only shape")
	simTrace = flag.Bool("sim.trace", false, "print each page as it arrives")
)

// bound is the most that listing may take: time in units of pages / listers round
// trips, LISTs in units of pages. Both are as reached, and a little more.
type bound struct {
	listers     int
	time, lists float64
}

var (
	usual   = []bound{{64, 1.2, 1.1}, {256, 1.5, 1.1}}
	hardest = []bound{{64, 4, 1.5}, {256, 14, 1.5}} // of zruns, see trie.guesses
)

func TestShapesAreSharedEvenly(t *testing.T) {
	asserted := *simKeys == 1_000_000 && *simPage == 100
	for _, shape := range keyset.Names()[:18] {
		if *simShape != "" && shape != *simShape {
			continue
		}
		bounds := usual
		if shape == "zruns" {
			bounds = hardest
		}
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			set := keyset.Must(shape, *simKeys, 1)
			for _, b := range bounds {
				s := sim{set: set, page: *simPage, listers: b.listers, rnd: rand.New(rand.NewPCG(2, 2))}
				if *simTrace {
					s.trace = t.Logf
				}
				if err := s.run(); err != nil {
					t.Fatal(err)
				}
				least := math.Ceil(float64(set.Len()) / float64(*simPage))
				time, lists := s.now/(least/float64(b.listers)), float64(s.calls)/least
				t.Logf("| %s | %d | %.2f | %.3f | %d |", shape, b.listers, time, lists, s.cuts)
				if asserted && (time > b.time || lists > b.lists) {
					t.Errorf("%d listers: %.2f of the ideal time, %.3f of the LISTs; want at most %.2f, %.3f", b.listers, time, lists, b.time, b.lists)
				}
			}
		})
	}
}
