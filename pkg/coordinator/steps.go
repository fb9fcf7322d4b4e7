package coordinator

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Steps of an import of which only so many run at a time, and their phases.
const (
	stepPlan     = "plan"
	stepCommit   = "commit"
	phaseWaiting = "waiting"
	phaseRunning = "running"
)

// How many imports a process plans and commits at a time: together, and of one
// store, so that a slow one does not hold up the others.
const (
	plansAll    = 64
	plansEach   = 32
	commitsAll  = 16
	commitsEach = 8
)

// turn waits for a turn of a step. The caller calls done after it.
func (d *driver) turn(ctx context.Context, step string, limit *limiter, key string) (done func(), err error) {
	waiting := d.metrics.steps.WithLabelValues(step, phaseWaiting)
	waiting.Inc()
	tellNot := d.tellSlow(ctx, step, key)
	leave, err := limit.take(ctx, key)
	waiting.Dec()
	if err != nil {
		tellNot()
		return nil, err
	}
	running, begun := d.metrics.steps.WithLabelValues(step, phaseRunning), time.Now()
	running.Inc()
	return func() {
		tellNot()
		leave()
		running.Dec()
		d.metrics.stepTime.WithLabelValues(step).Observe(time.Since(begun).Seconds())
	}, nil
}

// storeOf returns the store that a URI lives in: its scheme and bucket.
func storeOf(uri string) string {
	u, err := objectstore.ParseURI(uri)
	if err != nil {
		return uri // whoever opens it says what is wrong
	}
	return u.Scheme + "://" + u.Bucket
}
