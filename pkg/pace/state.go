package pace

import "time"

// word is what a process tells the others.
type word struct {
	From      string `json:"from"`                // a name for this run of the process
	Lists     bool   `json:"lists"`               // it lists
	Throttled bool   `json:"throttled,omitempty"` // the store has just throttled it
}

// How often a process that lists says so: the more there are, the less often, so
// that what each has to hear stays little. Who was not heard for so many times
// that is taken to be gone.
const (
	sayEvery = 2 * time.Second
	crowd    = 32 // processes for which sayEvery holds; for twice as many it is twice that
	silences = 3
)

// state is what a process knows of itself and the others. It decides, and knows
// no clock but what it is told.
type state struct {
	name       string
	fleet, own int // LIST calls in flight at most: of all, 0 for any number; of this process

	lists  bool
	active time.Time // when it was seen to list last
	cuts   int
	said   time.Time
	others map[string]time.Time // those that list: when they were heard last
}

func newState(name string, fleet, own int) *state {
	return &state{name: name, fleet: fleet, own: own, others: make(map[string]time.Time)}
}

// hear takes in a word, and reports whether it asks to slow down.
func (s *state) hear(now time.Time, w word) bool {
	if w.From == s.name {
		return false
	}
	if w.Lists {
		s.others[w.From] = now
	} else {
		delete(s.others, w.From)
	}
	return w.Throttled && s.lists
}

// look takes in how this process does, and returns what there is to say, if
// anything.
func (s *state) look(now time.Time, lists bool, cuts int) (w word, say bool) {
	// Between two listings is no end: who lists many small ones would say it all
	// the time.
	if lists {
		s.active = now
	}
	lists = lists || s.lists && now.Sub(s.active) < sayEvery
	throttled := cuts > s.cuts
	say = lists != s.lists || throttled || lists && now.Sub(s.said) >= s.interval()
	s.lists, s.cuts = lists, cuts
	if say {
		s.said = now
	}
	return word{From: s.name, Lists: lists, Throttled: throttled}, say
}

// share returns how many LIST calls this process may have in flight: its part of
// the fleet's, at least 1. One that does not list now takes as much when it
// starts, as the last of them.
func (s *state) share(now time.Time) int {
	for name, heard := range s.others {
		if now.Sub(heard) > silences*s.interval() {
			delete(s.others, name)
		}
	}
	if s.fleet == 0 {
		return s.own
	}
	return max(1, min(s.own, s.fleet/(len(s.others)+1)))
}

func (s *state) interval() time.Duration {
	return sayEvery * time.Duration(1+len(s.others)/crowd)
}
