package worker

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/forecast"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// handOver cuts a partition that is being listed, and queues pieces of what is left for
// others, when they wait for work and it is worth it.
type handOver struct {
	d        *delivery
	walks    bool // nothing is handed over: a walk of a piece would begin with the first key, too
	breaks   partition.Breaks
	forecast *forecast.Forecast // of what is left
	meter    *meter

	listed   uint64    // keys since the partition was last cut
	answered uint64    // number of the load that it last answered
	offer    offer     // that it made last
	offered  time.Time // when, while the offers of others are gathered; else zero
}

func newHandOver(d *delivery, breaks partition.Breaks, m *meter) *handOver {
	return &handOver{
		d: d, walks: d.stall.walks.Load(), breaks: breaks, meter: m, answered: d.loadSeq,
		forecast: forecast.New(d.slot.keyModel(d.task.Partition.ImportID)),
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
	load, seq := h.d.worker.load.Last()
	switch {
	case !h.offered.IsZero():
		if h.meter.now().Sub(h.offered) < gather {
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
		if !load.Starved() || !h.d.worker.chance.elects(mostOffers, load.Running) || !h.makeOffer() {
			return nil
		}
		if load.Running > 1 {
			h.d.worker.broadcast(topicLeft, h.offer) // if it is lost, the others have a larger share
			h.offered = h.meter.now()
			return nil
		}
	}
	n := min(h.d.worker.offers.share(h.offer, load.Waiting), h.worth(h.left())) // what is left by now
	if n < 1 {
		return nil
	}
	if load.Running > 1 {
		h.d.worker.broadcast(topicLeft, offer{Partition: h.offer.Partition}) // it is taken
	}
	return h.cut(ctx, n)
}

// makeOffer makes an offer of what is left, and reports whether that is worth it.
func (h *handOver) makeOffer() bool {
	left := h.left()
	h.offer = offer{Partition: h.d.publisher.partition.ID, Left: int64(min(left, mostLeft))}
	return h.worth(left) > 0
}

func (h *handOver) left() float64 { return h.forecast.Left(h.d.publisher.owned.Upto()) }

// guess returns about how many keys are left. Of an open end nothing tells how many lie before it: of
// the 18 shapes of TestEstimates, a listing of all keys would expect more than twice as many as there
// are in 16 after a tenth of the time, and the more the longer it goes on. So an import that one slot
// lists has no estimate, until a hand-over shows where the last part begins.
func (h *handOver) guess() progress.Guess {
	if h.walks {
		return progress.Guess{}
	}
	upto := h.d.publisher.owned.Upto()
	g := progress.NewGuess(h.forecast.Guess(upto))
	g.Wild = upto == ""
	return g
}

// worth returns the most pieces that are worth being cut off. A listing is slow at
// first, and is expected to get as fast as the one before it.
func (h *handOver) worth(left float64) int {
	return h.breaks.Gives(left, max(h.meter.speed(), float64(h.d.worker.lastRate.Load())))
}

// cut queues up to n pieces of what is left, and cuts the partition before the first
// piece that was queued.
//
// The pieces are queued before the partition is cut. The cut is noted, and covers carry it
// from then on. If anything is lost in between, keys are listed twice or are a gap like
// any other.
func (h *handOver) cut(ctx context.Context, n int) error {
	left := h.guess()
	cuts := h.forecast.Cuts(h.d.publisher.owned.Upto(), n)
	pieces := h.d.publisher.owned.Pieces(cuts)
	given := len(pieces)
	for given > 0 && h.d.publisher.give(ctx, pieces[given-1]) { // from the end: what is queued is all that follows a cut
		given--
		h.d.reporter.waits(pieces[given], left.Part(len(pieces)+1))
		h.d.worker.metrics.handOvers.Inc()
	}
	if given == len(pieces) {
		return ctx.Err()
	}
	h.d.publisher.owned.Cut(cuts[given])
	h.listed = 0
	h.d.reporter.listed(h.guess()) // it does not count what was handed over
	// The next cover, which carries the cut, may be a minute away. Until then only this
	// note tells the next delivery not to list again the keys that were handed over.
	if err := h.d.tries.note(ctx); err != nil {
		h.d.log.DebugContext(ctx, "note a cut", "err", err)
	}
	return nil
}

// mostLeft bounds what is offered, in keys.
const mostLeft = 1e15
