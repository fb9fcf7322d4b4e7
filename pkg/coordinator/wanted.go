package coordinator

import (
	"math"

	"github.com/rangefleet/rangefleet/pkg/progress"
)

// Of the workers that a fleet wants.
const (
	wantedWithin = 60.0 // seconds in which they would list what is left
	wantedMost   = 1000 // more are never asked for, whatever is estimated
)

// work is what is left to list, as far as a coordinator knows.
type work struct {
	outstanding int     // partitions, queued or running
	left        float64 // keys, estimated; 0 if that is not known
	rate        float64 // keys a second of one worker; 0 if that is not known
}

// workOf returns what is left of imports. Each has some partitions outstanding, and most have been
// looked at.
func workOf(outstanding map[string]int, looks map[string]progress.Progress) (w work) {
	for _, n := range outstanding {
		w.outstanding += n
	}
	perSecond, workers := 0.0, 0
	for _, now := range looks {
		perSecond += now.PerSecond
		workers += now.Workers
		if now.Estimate.Some {
			w.left += float64(max(0, now.Estimate.Keys-now.Listed))
		}
	}
	if workers > 0 {
		w.rate = perSecond / float64(workers)
	}
	return w
}

// wantedWorkers returns how many workers would list what is left in a minute: none if nothing is,
// and one as long as it is not known how much. The number of partitions does not tell: an import
// starts as one, and is cut only for workers that wait.
func wantedWorkers(w work) float64 {
	switch {
	case w.outstanding == 0:
		return 0
	case w.left <= 0 || w.rate <= 0:
		return 1
	}
	return min(wantedMost, max(1, math.Ceil(w.left/(w.rate*wantedWithin))))
}
