package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// finish reports how the delivery ended to the queue, and to the import if that cannot
// go on. Its calls outlive ctx for a moment, so that a worker that is told to stop
// gives its partitions back at once.
func (d *delivery) finish(ctx context.Context, outcome error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if errors.Is(outcome, errLost) || d.ownership.check() != nil {
		// The queue would accept a report from here as one of the worker that has the
		// partition now.
		d.done("lost", errLost)
		d.log.WarnContext(ctx, "partition is lost", "err", errLost)
		return
	}
	if err := d.report(ctx, outcome); err != nil {
		// The queue delivers the partition again after its ack wait.
		d.log.WarnContext(ctx, "finish a partition", "outcome", outcome, "err", err)
	}
	switch {
	case outcome == nil, errors.Is(outcome, errOver), errors.Is(outcome, errYielded):
		d.reporter.end(progress.Over)
	default:
		d.reporter.end(progress.Waiting)
	}
}

// done counts how the delivery ended, and ends its spans. Only what a store or a fault of the
// partition brought about is an error there.
func (d *delivery) done(how string, outcome error) {
	d.worker.metrics.done(how)
	if how != "failed" && how != "retried" && how != "lost" {
		outcome = nil
	}
	d.spans.end(how, outcome)
}

// report is finish of a partition that this worker owns.
func (d *delivery) report(ctx context.Context, outcome error) error {
	fruitless := d.tries.fruitless()
	done := func(how string) { d.done(how, outcome) }
	var gaveWay *stalled
	switch {
	case outcome == nil:
		done("done")
		return d.task.Ack(ctx)
	case errors.Is(outcome, errOver):
		done("over")
		return d.task.Ack(ctx)
	case errors.Is(outcome, errYielded):
		done("yielded")
		return d.task.Ack(ctx)
	case errors.As(outcome, &gaveWay):
		done("stalled")
		return d.giveWay(ctx, gaveWay)
	case errors.Is(outcome, errLeaving):
		done("handed_back")
		return d.handBack(ctx, 0)
	case errors.Is(outcome, natsconn.ErrProtocol):
		done("refused")
		d.log.ErrorContext(ctx, "partition is left to a worker of another version", "err", outcome)
		return d.handBack(ctx, refusedPause)
	case errors.Is(outcome, objectstore.ErrRefused) && !d.tries.refusalConfirmed():
		done("retried")
		return d.leaveToAnother(ctx, outcome)
	case objectstore.Permanent(outcome) || errors.Is(outcome, errFatal) || fruitless >= maxTries:
		done("failed")
		d.worker.metrics.givesUp(outcome)
		d.log.ErrorContext(ctx, "import fails", "span", d.task.Partition.String(), "tries", fruitless, "err", outcome)
		return d.fail(ctx, outcome)
	default:
		done("retried")
		delay := pause.Bound(time.Second, maxBackoff, fruitless)
		d.log.WarnContext(ctx, "partition is tried again", "delay", delay, "tries", fruitless, "err", outcome)
		d.reportRetry(outcome)
		return errors.Join(d.tries.noteFailed(ctx), d.task.Nak(ctx, delay))
	}
}

// handBack gives the partition to the next slot that asks after the delay. This
// delivery does not count as one that got no further.
func (d *delivery) handBack(ctx context.Context, delay time.Duration) error {
	return errors.Join(d.tries.noteHandedBack(ctx), d.task.Nak(ctx, delay))
}

// giveWay gives back a partition that was stalled.
func (d *delivery) giveWay(ctx context.Context, s *stalled) error {
	waited := s.waited
	if !d.stall.progressed(d.worker.now()) {
		waited += d.tries.suspicion.Load().waited
	}
	if s.waited > 0 {
		d.worker.stalls.postpone(s.wait.store, s.pause)
	}
	d.log.InfoContext(ctx, "partition lets others go first", "delay", s.pause, "waited", waited, "err", s)
	d.publisher.problem(": " + s.Error())
	return errors.Join(d.tries.noteStalled(ctx, waited, s.wait.store), d.task.Nak(ctx, s.pause))
}

// leaveToAnother gives back a partition whose keys a store refused to this worker, and
// notes that. Until it is delivered again this worker pulls nothing from bulk, so that
// another worker gets it.
func (d *delivery) leaveToAnother(ctx context.Context, cause error) error {
	delay := time.Second << (len(d.tries.refusedTo()) - 1)
	d.log.WarnContext(ctx, "partition is left to another worker, as a store refuses it to this one", "delay", delay, "err", cause)
	d.worker.refusals.refused(delay + time.Second)
	d.reportRetry(cause)
	return errors.Join(d.tries.noteRefused(ctx), d.task.Nak(ctx, delay))
}

// reportRetry reports why a delivery that got no further is repeated. If it got
// further, nothing is wrong with its first keys any more.
func (d *delivery) reportRetry(cause error) {
	if d.covers.advanced() {
		d.publisher.problem("")
		return
	}
	d.publisher.problem(fmt.Sprintf(" are tried again: %v", cause))
}

// fail ends the import with the error of the partition, and the partition with it. An
// import that is committing does not need the partition any more.
func (d *delivery) fail(ctx context.Context, cause error) error {
	err := d.worker.cfg.Backend.Gossip.ReportFailure(ctx, gossip.Failure{ImportID: d.task.Partition.ImportID, Text: d.explain(cause)})
	if err != nil {
		return err
	}
	return d.task.Ack(ctx)
}

// explain says which keys an error that ends an import is about, and what can be
// done.
func (d *delivery) explain(cause error) string {
	var advice string
	switch {
	case errors.Is(cause, objectstore.ErrSettings):
		advice = "change the settings of the coordinators and workers, or their environment, as it says"
	case errors.Is(cause, objectstore.ErrRole):
		advice = "let the workers' credentials assume the role, and the role trust them and allow what they read"
	case errors.Is(cause, objectstore.ErrRefused):
		advice = "let the workers' credentials list these keys and store in the storage namespace, or leave them out of the import's paths"
	case errors.Is(cause, objectstore.ErrNotFound):
		advice = "name paths and a storage namespace that exist"
	case errors.Is(cause, objectstore.ErrBadKey):
		advice = "rename the objects or leave them out of the import's paths, as these keys cannot be imported"
	case errors.Is(cause, objectstore.ErrBadListing):
		advice = "the store's listing cannot be relied upon: look at what answers at its address, and whether s3.listing and s3.order fit it"
	case errors.Is(cause, errFatal):
		advice = "look at the logs of the workers that ended"
	default:
		cause = fmt.Errorf("%d tries in a row got no further: %w", d.tries.fruitless(), cause)
		advice = "look at the store and at the workers' logs"
	}
	return fmt.Sprintf("the keys %v: %v. Nothing was committed; %s, and start the import again.", d.task.Partition.Span, cause, advice)
}
