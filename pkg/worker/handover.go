package worker

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// giving is how far a listing is with giving what is left to others.
type giving struct {
	forecast *partition.Forecast // of what is left
	total    uint64              // keys that were listed
	listed   uint64              // keys since the partition was last cut
	asked    uint64              // the load to which it answered last
	offer    offer               // that it made last
	offered  time.Time           // when, if it has still to be kept
}

// handOver cuts the partition after the batch, and queues pieces of what is left,
// if others wait for work and it is worth it.
//
// The pieces are queued before the partition is cut, which is noted, and its covers
// carry the cut from then on. Whatever is lost in between, keys are listed twice or are a gap
// like any other.
func (l *lister) handOver(ctx context.Context, batch entry.Batch) error {
	if l.src.Walks() {
		return nil // whoever got a piece would begin with the first key, too
	}
	l.forecast.Note(batch.Len(), batch.Key)
	n := l.share()
	if n < 1 {
		return nil
	}
	cuts := l.forecast.Cuts(l.owned.Upto(), n)
	if len(cuts) == 0 {
		return nil
	}
	pieces := l.owned.Pieces(cuts)
	given := len(pieces)
	for given > 0 && l.publish(ctx, pieces[given-1]) { // from the end: what is queued is all that follows a cut
		given--
		l.metrics.handOvers.Inc()
	}
	if given == len(pieces) {
		return ctx.Err()
	}
	l.owned.Cut(cuts[given])
	l.upto.Store(&cuts[given])
	l.trail.cutAt(cuts[given])
	l.noteCut(ctx, cuts[given])
	l.listed = 0
	return nil
}

// share returns how many pieces to give now. Who hears that others wait offers what
// it has left, and a moment later has heard the offers of all.
func (l *lister) share() int {
	load, heard := l.outlook.Latest()
	switch {
	case !l.offered.IsZero():
		if l.now().Sub(l.offered) < gather {
			return 0
		}
		l.offered, l.asked = time.Time{}, heard
		if !load.Hungry() {
			return 0 // any more
		}
	case l.listed*cutPart < l.job.Breaks.Raggedness || heard == l.asked:
		return 0
	default:
		l.asked = heard
		if !load.Hungry() || !l.elected(mostOffers, load.Running) {
			return 0
		}
		left := l.forecast.Left(l.owned.Upto())
		if l.gives(left) < 1 {
			return 0
		}
		l.offer = offer{Partition: l.p.ID, Left: int64(min(left, mostLeft))}
		if load.Running > 1 {
			l.say(topicLeft, l.offer) // if it is lost, the others have a larger share
			l.offered = l.now()
			return 0
		}
	}
	n := min(l.offers.share(l.offer, load.Waiting), l.gives(l.forecast.Left(l.owned.Upto()))) // by now
	if n > 0 && load.Running > 1 {
		l.say(topicLeft, offer{Partition: l.p.ID})
	}
	return n
}

// gives returns the most pieces that are worth being cut off. A listing is slow at
// first, and is expected to get as fast as the one before it.
func (l *lister) gives(left float64) int {
	return l.job.Breaks.Gives(left, max(l.speed(), float64(l.rate.Load())))
}

// speed returns how many keys a second were listed.
func (l *lister) speed() float64 { return float64(l.total) / l.now().Sub(l.begun).Seconds() }

// mostLeft bounds what is offered, in keys.
const mostLeft = 1e15
