package pace

import "time"

// message is what a process broadcasts.
type message struct {
	From      string `json:"from"`                // a name for this run of the process
	Lists     bool   `json:"lists"`               // it lists
	Throttled bool   `json:"throttled,omitempty"` // the store has just throttled it
}

// How often a process that lists broadcasts: the more there are, the less often, so
// that the messages that each receives stay few. A process no longer counts once so many of
// its messages in a row are missing.
const (
	broadcastEvery = 2 * time.Second
	crowd          = 32 // processes for which broadcastEvery holds; for twice as many it is twice that
	missing        = 3
)

// state is what a process knows of itself and the others. It is pure: the caller tells it
// the time.
type state struct {
	name       string
	fleet, own int // LIST calls in flight at most: of all, 0 for any number; of this process

	lists     bool
	active    time.Time // when it was seen to list last
	throttles int
	sent      time.Time            // when it broadcast last
	others    map[string]time.Time // when the last message arrived, of each that lists
}

func newState(name string, fleet, own int) *state {
	return &state{name: name, fleet: fleet, own: own, others: make(map[string]time.Time)}
}

// receive takes in a message, and reports whether this process is to slow down.
func (s *state) receive(now time.Time, m message) bool {
	if m.From == s.name {
		return false
	}
	if m.Lists {
		s.others[m.From] = now
	} else {
		delete(s.others, m.From)
	}
	return m.Throttled && s.lists
}

// look takes in how this process does, and returns the message to broadcast, if it is time
// for one.
func (s *state) look(now time.Time, lists bool, throttles int) (m message, send bool) {
	// A pause between two listings is no end: a process with many small listings would
	// broadcast all the time.
	if lists {
		s.active = now
	}
	lists = lists || s.lists && now.Sub(s.active) < broadcastEvery
	throttled := throttles > s.throttles
	send = lists != s.lists || throttled || lists && now.Sub(s.sent) >= s.interval()
	s.lists, s.throttles = lists, throttles
	if send {
		s.sent = now
	}
	return message{From: s.name, Lists: lists, Throttled: throttled}, send
}

// share returns how many LIST calls this process may have in flight: its part of
// the fleet's, at least 1. A process that does not list has the share that it will have when
// it starts.
func (s *state) share(now time.Time) int {
	for name, last := range s.others {
		if now.Sub(last) > missing*s.interval() {
			delete(s.others, name)
		}
	}
	if s.fleet == 0 {
		return s.own
	}
	return max(1, min(s.own, s.fleet/(len(s.others)+1)))
}

func (s *state) interval() time.Duration {
	return broadcastEvery * time.Duration(1+len(s.others)/crowd)
}
