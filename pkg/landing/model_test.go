package landing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// imported is what the import puts under in/.
var imported = tree{"in/a": "import", "in/b": "import", "in/c": "import"}

// process is a coordinator that performs the landing.
type process struct {
	driver *Driver
	merge  *merge // the request that it waits for; nil if there is none
}

// model is one landing with all that can happen to it.
type model struct {
	rng     *rand.Rand
	server  *server
	store   State // the durable record
	running []*process
	merges  []*merge // requests that nobody waits for any more
	delayed []func() // other requests, which the server has not seen yet
	names   int
	moved   bool // a user moved the destination to an older commit, or deleted it
	gaveUp  bool
	refused bool // the caller lost the permission
	noFence bool // fences are answered without being performed
	stores  bool // landings may store their commits
	seen    map[string]int
}

func newModel(rng *rand.Rand, seen map[string]int) *model {
	m := &model{rng: rng, server: newServer(), seen: seen}
	m.server.protected, m.stores = m.chance(30), m.chance(70)
	return m
}

func (m *model) chance(percent int) bool { return m.rng.IntN(100) < percent }

func (m *model) resume() *process {
	newName := func() string { m.names++; return "rf-" + strconv.Itoa(m.names) }
	return &process{driver: Resume(m.store, Config{NewName: newName, StoreCommits: m.stores})}
}

// lose returns whether a request is performed and whether its answer is lost. A request
// that is not performed may be performed later.
func (m *model) lose(percent int, perform func()) (o Outcome, lost bool) {
	if !m.chance(percent) {
		return Outcome{}, false
	}
	switch m.rng.IntN(3) {
	case 0:
		perform()
	case 1:
		m.delayed = append(m.delayed, perform)
	}
	return Outcome{Result: Lost, Text: "answer lost"}, true
}

// step performs a step of a process. Of each request, percent in 100 lose their answer.
func (m *model) step(p *process, percent int) {
	if p.merge != nil {
		m.await(p, percent)
		return
	}
	a := p.driver.Next()
	switch a.Kind {
	case Prepare:
		p.driver.Perform(m.prepare(a))
	case Record:
		p.driver.Perform(m.record(a, percent))
	case Store, Create, Write, Delete:
		p.driver.Perform(m.request(percent, func() Outcome { return m.server.perform(a) }))
	case Authorize:
		p.driver.Perform(m.authorize())
	case Merge:
		p.merge = &merge{source: a.Branch, mark: a.Branch, correction: a.Correction, allowEmpty: a.Unchanged}
	case Fence:
		if m.noFence {
			p.driver.Perform(Outcome{Result: Refused, Reason: NoSource})
			return
		}
		p.merge = &merge{source: a.Branch, mark: "fence"}
	case Find:
		o := m.find(a)
		m.seen[fmt.Sprintf("find %v %v", o.Result, o.Reason)]++
		p.driver.Perform(o)
	case Wait:
		m.wait(p)
	case Sweep:
		m.sweep(a.Branches)
		p.driver.Perform(Outcome{})
	case Stop:
	}
}

// await lets the request that a process waits for get on, or loses its answer.
func (m *model) await(p *process, percent int) {
	if m.chance(percent) {
		m.merges = append(m.merges, p.merge)
		p.merge = nil
		p.driver.Perform(Outcome{Result: Lost, Text: "answer lost"})
		return
	}
	if p.merge.step(m.server); p.merge.answer != nil {
		p.driver.Perform(*p.merge.answer)
		p.merge = nil
	}
}

func (m *model) request(percent int, perform func() Outcome) Outcome {
	if o, lost := m.lose(percent, func() { perform() }); lost {
		return o
	}
	return perform()
}

func (m *model) prepare(a Action) Outcome {
	base := a.Base
	if b := m.server.branches[destination]; base == "" && b == nil {
		return Outcome{Result: Refused, Reason: NoTarget, Text: "branch not found"}
	} else if base == "" {
		base = b.head
	}
	old := m.server.commits[base].tree
	next := replace(old, imported)
	id := m.server.add(commit{parents: []string{base}, tree: next}) // stands for the metarange
	return Outcome{Base: base, Metarange: id, Unchanged: maps.Equal(old, next)}
}

func (m *model) record(a Action, percent int) Outcome {
	swap := func() Outcome {
		if !m.store.Equal(a.From) {
			return Outcome{Result: Refused}
		}
		if t := a.From.Try; t != nil && t.Stored && a.State.Landed != nil {
			m.seen["a stored commit landed"]++
		}
		m.store = a.State
		return Outcome{}
	}
	if m.chance(percent) {
		if m.chance(50) {
			swap()
		}
		return Outcome{Result: Lost}
	}
	return swap()
}

func (m *model) authorize() Outcome {
	if m.refused = m.refused || m.chance(1); m.refused {
		return Outcome{Result: Refused, Text: "insufficient permissions"}
	}
	return Outcome{}
}

func (m *model) find(a Action) Outcome {
	b := m.server.branches[destination]
	if b == nil {
		return Outcome{Result: Refused, Reason: NoTarget, Text: "branch not found"}
	}
	for _, id := range m.server.history(b.head) {
		c := m.server.commits[id]
		switch {
		case c.mark == a.Branch:
			return Outcome{Commit: Commit{ID: id, Parent: c.parents[0]}}
		case id == a.Base:
			return Outcome{Result: Refused, Reason: NotThere}
		}
	}
	return Outcome{Result: Refused, Reason: BaseGone, Text: "the branch was reset"}
}

func (m *model) wait(p *process) {
	if m.chance(5) {
		m.gaveUp = true
		p.driver.GiveUp("outcome unknown")
		return
	}
	p.driver.Perform(Outcome{})
}

func (m *model) sweep(branches []string) {
	for _, b := range branches {
		delete(m.server.branches, b)
	}
}

// userActs lets a user change the destination. If moves is set, users also move it to older
// commits and delete it.
func (m *model) userActs(moves bool) {
	b := m.server.branches[destination]
	switch {
	case b == nil:
		m.server.branches[destination] = &branch{head: "c0", version: m.rng.Int()}
	case m.chance(10):
		b.dirty = !b.dirty
	case moves && m.chance(5):
		m.moved = true
		ids := m.server.history(b.head)
		b.move(ids[m.rng.IntN(len(ids))])
	case moves && m.chance(2):
		m.moved = true
		delete(m.server.branches, destination)
	default:
		k := []string{"in/a", "in/b", "in/added", "in/old", "out/old", "out/new"}[m.rng.IntN(6)]
		v := "user " + strconv.Itoa(len(m.server.commits)) // no two writes of a key are equal
		if m.chance(33) {
			v = ""
		}
		m.server.userCommits(tree{k: v})
	}
}

// disturb lets one random thing happen.
func (m *model) disturb(moves bool) {
	switch n := m.rng.IntN(100); {
	case n < 60 && len(m.running) > 0:
		m.step(m.running[m.rng.IntN(len(m.running))], 8)
	case n < 75 && len(m.merges) > 0:
		m.merges[m.rng.IntN(len(m.merges))].advance(m.server)
	case n < 80 && len(m.delayed) > 0:
		i := m.rng.IntN(len(m.delayed))
		perform := m.delayed[i]
		m.delayed = slices.Delete(m.delayed, i, i+1)
		perform()
	case n < 85 && len(m.running) < 4:
		m.running = append(m.running, m.resume())
	case n < 87 && len(m.running) > 0:
		m.kill(m.rng.IntN(len(m.running)))
	case n < 88 && m.chance(20):
		m.store = canceled(m.store)
	case n < 94:
		m.userActs(moves)
	case n < 95:
		m.server.protected = !m.server.protected
	}
}

// canceled returns the state after a user canceled the import, which has no effect if it may
// be on the destination.
func canceled(s State) State {
	if s.End == "" && s.Landed == nil && (s.Try == nil || s.Try.Phase == Preparing) {
		s.Try, s.End = nil, Canceled
	}
	return s
}

// kill ends a process. The request that it waited for goes on.
func (m *model) kill(i int) {
	if r := m.running[i].merge; r != nil {
		m.merges = append(m.merges, r)
	}
	m.running = slices.Delete(m.running, i, i+1)
}

func (m *merge) advance(s *server) {
	if m.answer == nil {
		m.step(s)
	}
}

// settle ends all that is in progress, in a random order, and lets a last process end the
// landing.
func (m *model) settle() error {
	last := m.resume()
	for range 10_000 {
		switch n := m.rng.IntN(4); {
		case n == 0 && len(m.merges) > 0:
			i := m.rng.IntN(len(m.merges))
			if m.merges[i].advance(m.server); m.merges[i].answer != nil {
				m.merges = slices.Delete(m.merges, i, i+1)
			}
		case n == 1 && len(m.delayed) > 0:
			m.delayed[0]()
			m.delayed = m.delayed[1:]
		case n == 2 && len(m.running) > 0:
			m.finish(m.rng.IntN(len(m.running)))
		default:
			if b := m.server.branches[destination]; b != nil {
				b.dirty = false
			}
			m.step(last, 0)
		}
		if a := last.driver.Next(); a.Kind != Stop {
			continue
		}
		if m.store.End != "" && len(m.merges)+len(m.delayed)+len(m.running) == 0 {
			m.sweep(m.store.Branches) // before the record is forgotten
			return nil
		}
		last = m.resume()
	}
	return fmt.Errorf("the landing did not end: %+v", m.store)
}

// finish lets a process get on that meets no faults, and removes it once it has stopped.
func (m *model) finish(i int) {
	m.step(m.running[i], 0)
	if m.running[i].driver.Next().Kind == Stop {
		m.running = slices.Delete(m.running, i, i+1)
	}
}

// run lets random things happen to a landing, and returns what must never happen.
func (m *model) run(moves bool) error {
	for range 40 + m.rng.IntN(400) {
		m.disturb(moves)
	}
	if err := m.settle(); err != nil {
		return err
	}
	return check(m)
}

// Whatever crashes, gets lost, comes late or intervenes, an import lands once or not at all,
// as its state says. It replaces its destination and touches nothing else.
func TestLandsOnceWhateverHappens(t *testing.T) {
	for _, moves := range []bool{false, true} {
		t.Run(fmt.Sprintf("moves=%v", moves), func(t *testing.T) {
			rng, seen := seeded.Rand(t), map[string]int{}
			for range 3000 {
				if err := newModel(rng, seen).run(moves); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []string{"end completed", "end failed", "end canceled", "end unknown", "corrections", "find 0 0", "find 1 4", "a stored commit landed"} {
				if seen[want] == 0 {
					t.Errorf("%q never happened, of %v", want, seen)
				}
			}
		})
	}
}

// The model is worth something: it finds what happens without a fence, and on a server on
// which there is none.
func TestWithoutAFenceAnImportLandsTwice(t *testing.T) {
	for name, spoil := range map[string]func(*model){
		"not performed": func(m *model) { m.noFence = true },
		"not possible":  func(m *model) { m.server.resolvesOnce = true },
	} {
		t.Run(name, func(t *testing.T) {
			rng := seeded.Rand(t)
			for range 20_000 {
				m := newModel(rng, map[string]int{})
				spoil(m)
				if m.run(false) != nil {
					return
				}
			}
			t.Error("20,000 landings without a fence were all right")
		})
	}
}
