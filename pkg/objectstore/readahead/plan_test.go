package readahead

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/keyset"
)

// A page may show the end of the store and be clipped long before: what lies
// between belongs to other segments, asked for or not.
func TestWhatAPageShowsOfOthersIsListedAgain(t *testing.T) {
	set := keyset.Of("a", "b", "c")
	p := newPlan[slice]("", "", "", 1<<20)
	made := []*segment[slice]{{hi: "a"}, {pos: "a", hi: "b"}, {pos: "b"}}
	for _, s := range made {
		s.rest = 1
	}
	p.segments = append([]*segment[slice](nil), made...)
	for _, s := range made[:2] {
		s.inFlight = true
		p.inFlight++
	}
	for i, s := range made[:2] {
		p.arrived(call[slice]{s, s.pos}, slice{&set, int64(i), 3}, false)
	}
	for c, ok := p.next(1, 1); ok; c, ok = p.next(1, 1) {
		p.arrived(c, slice{&set, set.Rank(c.after), 3}, false)
	}
	var keys []string
	for {
		page, ok, done := p.take()
		if done {
			break
		}
		if !ok {
			t.Fatalf("nothing follows %q", keys)
		}
		for i := range page.Len() {
			keys = append(keys, page.Key(i))
		}
	}
	if len(keys) != 3 || p.torn {
		t.Errorf("keys %q, torn: %v", keys, p.torn)
	}
}
