package pace

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// fleet is processes that broadcast to each other, with some messages lost, under one clock.
type fleet struct {
	rng      *rand.Rand
	now      time.Time
	loss     float64
	all      []*member
	messages int
}

type member struct {
	*state
	lists, dead bool
	throttles   int // as its limiter counts
	slowed      int // times that it was asked to slow down
}

func newFleet(rng *rand.Rand, n, bound, own int) *fleet {
	f := &fleet{rng: rng, now: time.Unix(1e9, 0)}
	for i := range n {
		f.all = append(f.all, &member{state: newState(fmt.Sprint("p", i), bound, own), lists: true})
	}
	return f
}

// run lets the time pass.
func (f *fleet) run(d time.Duration) {
	for end := f.now.Add(d); f.now.Before(end); f.now = f.now.Add(lookEvery) {
		for _, m := range f.all {
			if m.dead {
				continue
			}
			msg, send := m.look(f.now, m.lists, m.throttles)
			if !send {
				continue
			}
			f.messages++
			for _, o := range f.all {
				if !o.dead && f.rng.Float64() >= f.loss && o.receive(f.now, msg) {
					o.slowed++
				}
			}
		}
	}
}

// total returns what those that list may have in flight together.
func (f *fleet) total() (sum int) {
	for _, m := range f.all {
		if share := m.share(f.now); m.lists && !m.dead {
			sum += share
		}
	}
	return sum
}

func TestTheFleetKeepsToItsBound(t *testing.T) {
	rng := seeded.Rand(t)
	for _, n := range []int{1, 2, 7, 40, 200} {
		f := newFleet(rng, n, 300, 96)
		f.loss = 0.05
		f.run(time.Second) // all have started and broadcast it; hardly all messages were lost
		if n == 1 && f.total() != 96 {
			t.Errorf("one process may have %d, want its own bound", f.total())
		}
		for range 20 {
			for _, m := range f.all {
				if rng.IntN(5) == 0 {
					m.lists = !m.lists
				}
			}
			f.all[rng.IntN(n)].dead = false
			f.all[rng.IntN(n)].dead = n > 1
			f.run(missing * f.all[0].interval() * 3)
			listing := 0
			for _, m := range f.all {
				if m.lists && !m.dead {
					listing++
				}
			}
			low := min(300-listing, 96*listing)
			if total := f.total(); total > max(300, listing)*11/10 || total < low*8/10 {
				t.Errorf("%d processes that list may have %d in flight together, want %d to 300", listing, total, low)
			}
		}
	}
}

func TestManyProcessesBroadcastLittle(t *testing.T) {
	f := newFleet(seeded.Rand(t), 1000, 3000, 96)
	f.run(10 * time.Second)
	f.messages = 0
	f.run(10 * time.Second)
	if f.messages > 400 {
		t.Errorf("1,000 processes broadcast %d messages in 10 s", f.messages)
	}
}

func TestThrottleSlowsDownOthersThatListOnce(t *testing.T) {
	f := newFleet(seeded.Rand(t), 4, 0, 96)
	f.all[3].lists = false
	f.run(time.Second)
	f.all[0].throttles++
	f.run(10 * time.Second)
	for i, want := range []int{0, 1, 1, 0} {
		if f.all[i].slowed != want {
			t.Errorf("process %d was asked to slow down %d times, want %d", i, f.all[i].slowed, want)
		}
	}
	if total := f.total(); total != 3*96 {
		t.Errorf("without a bound, %d may be in flight, want each process's own", total)
	}
}

func TestManyShortListingsAreOne(t *testing.T) {
	f := newFleet(seeded.Rand(t), 2, 0, 96)
	f.run(time.Second)
	f.messages = 0
	for range 50 {
		f.all[0].lists = !f.all[0].lists
		f.run(2 * lookEvery)
	}
	if f.messages > 12 { // of two processes in 10 s
		t.Errorf("%d messages were broadcast", f.messages)
	}
	f.all[0].lists = false
	f.run(2 * broadcastEvery)
	if len(f.all[1].others) != 0 {
		t.Error("a process that has stopped is thought to list")
	}
}
