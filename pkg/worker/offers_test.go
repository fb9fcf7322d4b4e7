package worker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

func TestOffers(t *testing.T) {
	at := time.Unix(0, 0)
	o := &offers{now: func() time.Time { return at }}
	receive := func(partition string, left int64) {
		data, err := json.Marshal(offer{partition, left})
		expect.NoError(t, err)
		o.receive(data)
	}
	shares := func(own string, left int64, waiting, want int) {
		t.Helper()
		if got := o.share(offer{own, left}, waiting); got != want {
			t.Errorf("partition %s with %d keys left gives %d pieces to %d that wait, want %d", own, left, got, waiting, want)
		}
	}
	shares("b", 1000, 3, 3) // nobody else has offered anything
	receive("a", 100)
	receive("b", 1000)
	receive("c", 1000)
	o.receive([]byte("of another version"))
	shares("a", 100, 2, 0)
	shares("b", 1000, 1, 1) // the first of two equal ones
	shares("c", 1000, 1, 0)
	shares("c", 1000, 2, 1)
	receive("b", 400) // again, later
	shares("c", 1000, 2, 2)
	receive("c", 0) // taken back
	shares("b", 400, 2, 2)
	receive("c", 1000)
	at = at.Add(offerLife)
	shares("b", 400, 2, 0)
	at = at.Add(1)
	shares("b", 400, 2, 2) // the offers of others are too old
	if len(o.received) != 0 {
		t.Errorf("%d offers are kept that no longer count", len(o.received))
	}
}

// TestASlowStartGivesNoMore lists slowly at first: what is worth giving is judged by how
// fast the listing before it was.
func TestASlowStartGivesNoMore(t *testing.T) {
	at := time.Unix(0, 0)
	h := &handOver{
		d:      &delivery{worker: new(Worker)},
		breaks: partition.Breaks{Raggedness: 100},
		meter:  newMeter(func() time.Time { return at }),
	}
	at = at.Add(time.Second)
	h.meter.keys = 1000
	if got := h.worth(5000); got != 5 {
		t.Errorf("5 seconds of listing are worth %d pieces, want 5", got)
	}
	h.d.worker.lastRate.Store(2500)
	if got := h.worth(5000); got != 2 {
		t.Errorf("2 seconds of listing are worth %d pieces, want 2", got)
	}
	h.meter.keys = 5000
	if got := h.worth(5000); got != 1 {
		t.Errorf("a second of listing is worth %d pieces, want 1", got)
	}
}

func TestASlotKeepsTheKeyModelOfOneImport(t *testing.T) {
	var s slot
	model := s.keyModel("a")
	if s.keyModel("a") != model {
		t.Error("the slot has forgotten its import")
	}
	if s.keyModel("b") == model || s.keyModel("a") == model {
		t.Error("the slot takes one import for another")
	}
}
