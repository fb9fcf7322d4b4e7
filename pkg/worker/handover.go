package worker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/forecast"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// handOver cuts a partition that is being listed, and queues pieces of what is left for
// others, when they wait for work and it is worth it.
type handOver struct {
	walks     bool // nothing is handed over: a walk of a piece would begin with the first key, too
	owned     *partition.Owned
	breaks    partition.Breaks
	forecast  *forecast.Forecast // of what is left
	pace      *pace
	lastRate  *atomic.Int64 // keys a second of the partition that the worker listed last
	load      *queue.LoadWatch
	offers    *offers
	chance    chance
	publisher *publisher
	tries     *tries
	pieces    prometheus.Counter // that were handed over

	listed   uint64    // keys since the partition was last cut
	answered uint64    // number of the load that it last answered
	offer    offer     // that it made last
	offered  time.Time // when, while the offers of others are gathered; else zero
}

func newHandOver(d *delivery, breaks partition.Breaks, pace *pace) *handOver {
	w := d.worker
	return &handOver{
		owned: d.publisher.owned, breaks: breaks, pace: pace, lastRate: &w.lastRate,
		forecast: forecast.New(d.slot.keyModel(d.task.Partition.ImportID)),
		load:     w.load, offers: w.offers, chance: w.chance, publisher: d.publisher, tries: d.tries,
		pieces: w.metrics.handOvers, answered: d.loadSeq, walks: d.stall.walks.Load(),
	}
}

// after takes in a batch that was listed, and hands over what follows it if others wait.
//
// When a worker receives a load in which others wait, it offers what it has left, and a
// moment later has received the offers of all.
func (h *handOver) after(ctx context.Context, batch entry.Batch) error {
	h.listed += uint64(batch.Len())
	if h.walks {
		return nil
	}
	h.forecast.Note(batch.Len(), batch.Key)
	load, seq := h.load.Last()
	switch {
	case !h.offered.IsZero():
		if h.pace.now().Sub(h.offered) < gather {
			return nil
		}
		h.offered, h.answered = time.Time{}, seq
		if !load.Starved() {
			return nil // no slot waits any more
		}
	case h.listed*cutPart < h.breaks.Raggedness || seq == h.answered:
		return nil
	default:
		h.answered = seq
		if !load.Starved() || !h.chance.elects(mostOffers, load.Running) || !h.makeOffer() {
			return nil
		}
		if load.Running > 1 {
			h.offers.broadcast(h.offer) // if it is lost, the others have a larger share
			h.offered = h.pace.now()
			return nil
		}
	}
	n := min(h.offers.share(h.offer, load.Waiting), h.worth(h.left())) // what is left by now
	if n < 1 {
		return nil
	}
	if load.Running > 1 {
		h.offers.broadcast(offer{Partition: h.offer.Partition}) // it is taken
	}
	return h.cut(ctx, n)
}

// makeOffer makes an offer of what is left, and reports whether that is worth it.
func (h *handOver) makeOffer() bool {
	left := h.left()
	h.offer = offer{Partition: h.publisher.partition.ID, Left: int64(min(left, mostLeft))}
	return h.worth(left) > 0
}

func (h *handOver) left() float64 { return h.forecast.Left(h.owned.Upto()) }

// worth returns the most pieces that are worth being cut off. A listing is slow at
// first, and is expected to get as fast as the one before it.
func (h *handOver) worth(left float64) int {
	return h.breaks.Gives(left, max(h.pace.speed(), float64(h.lastRate.Load())))
}

// cut queues up to n pieces of what is left, and cuts the partition before the first
// piece that was queued.
//
// The pieces are queued before the partition is cut. The cut is noted, and covers carry it
// from then on. If anything is lost in between, keys are listed twice or are a gap like
// any other.
func (h *handOver) cut(ctx context.Context, n int) error {
	cuts := h.forecast.Cuts(h.owned.Upto(), n)
	pieces := h.owned.Pieces(cuts)
	given := len(pieces)
	for given > 0 && h.publisher.give(ctx, pieces[given-1]) { // from the end: what is queued is all that follows a cut
		given--
		h.pieces.Inc()
	}
	if given == len(pieces) {
		return ctx.Err()
	}
	h.owned.Cut(cuts[given])
	h.listed = 0
	// The next cover, which carries the cut, may be a minute away. Until then only this
	// note tells the next delivery not to list again the keys that were handed over.
	if err := h.tries.note(ctx); err != nil {
		h.publisher.log.Debug("note a cut", "err", err)
	}
	return nil
}

// mostLeft bounds what is offered, in keys.
const mostLeft = 1e15
