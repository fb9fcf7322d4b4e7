package worker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

func TestOffers(t *testing.T) {
	at := time.Unix(0, 0)
	o := &offers{now: func() time.Time { return at }}
	hear := func(partition string, left int64) {
		data, err := json.Marshal(offer{partition, left})
		expect.NoError(t, err)
		o.hear(data)
	}
	shares := func(own string, left int64, waiting, want int) {
		t.Helper()
		if got := o.share(offer{own, left}, waiting); got != want {
			t.Errorf("%s, with %d left, gives %d to %d that wait, want %d", own, left, got, waiting, want)
		}
	}
	shares("b", 1000, 3, 3) // nobody else has offered anything
	hear("a", 100)
	hear("b", 1000)
	hear("c", 1000)
	o.hear([]byte("of another version"))
	shares("a", 100, 2, 0)
	shares("b", 1000, 1, 1) // of equals the first
	shares("c", 1000, 1, 0)
	shares("c", 1000, 2, 1)
	hear("b", 400) // again, later
	shares("c", 1000, 2, 2)
	hear("c", 0) // taken back
	shares("b", 400, 2, 2)
	hear("c", 1000)
	at = at.Add(fresh)
	shares("b", 400, 2, 0)
	at = at.Add(1)
	shares("b", 400, 2, 2) // what was heard is too old
	if len(o.heard) != 0 {
		t.Errorf("%d offers are kept that count no more", len(o.heard))
	}
}

// TestASlowStartGivesNoMore is about a listing that has just begun, and has its pages still to
// come: what is worth giving is judged by how fast the one before it was.
func TestASlowStartGivesNoMore(t *testing.T) {
	at := time.Unix(0, 0)
	w := &Worker{now: func() time.Time { return at }}
	l := &lister{delivery: &delivery{Worker: w}, job: imports.Job{Breaks: partition.Breaks{Raggedness: 100}}, begun: at}
	at = at.Add(time.Second)
	l.total = 1000
	if got := l.gives(5000); got != 5 {
		t.Errorf("5 seconds of listing are worth %d pieces, want 5", got)
	}
	w.rate.Store(2500)
	if got := l.gives(5000); got != 2 {
		t.Errorf("2 seconds of listing are worth %d pieces, want 2", got)
	}
	l.total = 5000
	if got := l.gives(5000); got != 1 {
		t.Errorf("a second of listing is worth %d pieces, want 1", got)
	}
}

func TestASlotKnowsOneImport(t *testing.T) {
	var s slot
	known := s.knows("a")
	if s.knows("a") != known {
		t.Error("the slot has forgotten its import")
	}
	if s.knows("b") == known || s.knows("a") == known {
		t.Error("the slot takes one import for another")
	}
}
