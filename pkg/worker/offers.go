package worker

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// All workers that list receive a load at the same time. If others wait, each broadcasts
// how much it has left, and a moment later all know which partition has most.
const (
	topicLeft  = "left"
	gather     = 100 * time.Millisecond // from an offer until those of others have arrived
	offerLife  = 500 * time.Millisecond // an offer counts for so long
	mostOffers = 64                     // if more workers list, about so many of them make an offer
)

// offer says how much the worker of a partition thinks is left of it.
type offer struct {
	Partition string `json:"partition"`
	Left      int64  `json:"left"` // keys; 0 takes an earlier offer back
}

// offers are the offers that were received lately. It is safe for concurrent use.
type offers struct {
	now func() time.Time

	mu       sync.Mutex
	received map[string]receivedOffer // by partition
}

type receivedOffer struct {
	left int64
	at   time.Time
}

func (o *offers) receive(data []byte) {
	var m offer
	if json.Unmarshal(data, &m) != nil {
		return // perhaps of another version
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	if m.Left <= 0 {
		delete(o.received, m.Partition)
		return
	}
	if o.received == nil {
		o.received = make(map[string]receivedOffer)
	}
	o.received[m.Partition] = receivedOffer{m.Left, o.now()}
}

// forget drops offers that no longer count. The caller holds the lock.
func (o *offers) forget() {
	now := o.now()
	maps.DeleteFunc(o.received, func(_ string, r receivedOffer) bool { return now.Sub(r.at) > offerLife })
}

// chance draws a random number in [0, 1).
type chance func() float64

// elects reports, at random, whether this process acts: about n of the workers of the
// running partitions do, and each decides for itself.
func (c chance) elects(n, running int) bool { return c()*float64(running) < float64(n) }

// share returns how many pieces the worker that made the offer own gives away if so many
// slots are waiting. All workers that have received the same offers compute the same
// shares.
func (o *offers) share(own offer, waiting int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget()
	left := map[string]int64{own.Partition: own.Left}
	for id, r := range o.received {
		if id != own.Partition {
			left[id] = r.left
		}
	}
	ids := slices.Sorted(maps.Keys(left))
	lefts := make([]float64, len(ids))
	for i, id := range ids {
		lefts[i] = float64(left[id])
	}
	return partition.Shares(lefts, waiting)[slices.Index(ids, own.Partition)]
}
