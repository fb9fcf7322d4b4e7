package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// settle tells the queue, and where the import cannot go on the import, how the
// delivery ended. Its calls outlive ctx for a moment, so that a worker that is
// told to stop gives its partitions back at once.
func (d *delivery) settle(ctx context.Context, outcome error) {
	log := d.cfg.Log.With("import_id", d.task.Partition.ImportID, "partition", d.task.Partition.ID)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if errors.Is(outcome, errLost) || d.hold.check() != nil {
		// Whatever the queue is told would be told of somebody else's delivery.
		d.metrics.done("lost")
		log.Warn("partition is lost", "err", errLost)
		return
	}
	if err := d.tell(ctx, log, outcome); err != nil {
		// The queue delivers the partition again after its ack wait.
		log.Warn("settle a partition", "outcome", outcome, "err", err)
	}
}

// tell is settle of a partition that is this worker's.
func (d *delivery) tell(ctx context.Context, log *slog.Logger, outcome error) error {
	tries := d.fruitless()
	var gaveWay *stalled
	switch {
	case outcome == nil:
		d.metrics.done("done")
		return d.task.Ack(ctx)
	case errors.Is(outcome, errOver):
		d.metrics.done("over")
		return d.task.Ack(ctx)
	case errors.Is(outcome, errYielded):
		d.metrics.done("yielded")
		return d.task.Ack(ctx)
	case errors.As(outcome, &gaveWay):
		d.metrics.done("stalled")
		return d.giveWay(ctx, log, gaveWay)
	case errors.Is(outcome, errLeaving):
		d.metrics.done("handed_back")
		return d.handBack(ctx, 0)
	case errors.Is(outcome, queue.ErrProtocol):
		d.metrics.done("refused")
		log.Error("partition is left to a worker of another version", "err", outcome)
		return d.handBack(ctx, refusedPause)
	case errors.Is(outcome, objectstore.ErrRefused) && !d.agreed():
		d.metrics.done("retried")
		delay := time.Second << (len(d.refusals()) - 1)
		log.Warn("partition is left to another worker, as a store refuses it to this one", "delay", delay, "err", outcome)
		return d.leaveToAnother(ctx, delay, outcome)
	case objectstore.Permanent(outcome) || errors.Is(outcome, errFatal) || tries >= maxTries:
		d.metrics.done("failed")
		log.Error("import fails", "span", d.task.Partition.String(), "tries", tries, "err", outcome)
		return d.fail(ctx, outcome)
	default:
		d.metrics.done("retried")
		delay := pause.Bound(time.Second, maxBackoff, tries)
		log.Warn("partition is tried again", "delay", delay, "tries", tries, "err", outcome)
		d.tellTrouble(outcome)
		return errors.Join(d.noteFailed(ctx), d.task.Nak(ctx, delay))
	}
}

// fruitless returns how many deliveries in a row, with this one, got no further.
func (d *delivery) fruitless() int {
	if d.at != d.begunAt {
		return 1
	}
	return d.tries
}

// noteFailed forgets for how long the partition waited before this delivery, which
// counts for it.
func (d *delivery) noteFailed(ctx context.Context) error {
	if waited, _ := d.suspicion.get(); waited == 0 || d.at != d.begunAt {
		return nil
	}
	d.suspicion.set(0, "")
	return d.note(ctx, d.counted())
}

// handBack gives the partition to the next who asks after the delay. This
// delivery does not count as one that got no further.
func (d *delivery) handBack(ctx context.Context, delay time.Duration) error {
	var err error
	if d.at == d.begunAt {
		t := d.counted()
		t.Count--
		err = d.note(ctx, t)
	}
	return errors.Join(err, d.task.Nak(ctx, delay))
}

// refusals are the workers to which a store refused what it refused to this
// delivery, in a row: the last of them is this one.
func (d *delivery) refusals() []string {
	if d.at != d.begunAt { // those were refused what lies before
		return []string{d.name}
	}
	return append(slices.Clone(d.refused), d.name)
}

// agreed reports whether a refusal is not just this worker's, whose credentials or
// place may be the wrong ones: another one met it too, or nobody else has taken the
// partition for half a minute.
func (d *delivery) agreed() bool {
	all := d.refusals()
	return all[0] != d.name || len(all) == maxRefusals
}

// leaveToAnother gives the partition back, and notes to whom it was refused. All
// hear of it: this worker asks for nothing until it is delivered again, and others do.
func (d *delivery) leaveToAnother(ctx context.Context, delay time.Duration, cause error) error {
	note := queue.Tries{At: d.at, Refused: d.refusals()}
	if d.at == d.begunAt {
		note.Count = d.tries
	}
	d.tellRefusal(delay + time.Second)
	d.tellTrouble(cause)
	return errors.Join(d.note(ctx, note), d.task.Nak(ctx, delay))
}

// tellTrouble tells coordinators, for the import's status, why a delivery that got no
// further is repeated; nil is that the partition gets on again.
func (d *delivery) tellTrouble(cause error) {
	p := d.task.Partition
	t := queue.Trouble{ImportID: p.ImportID, PartitionID: p.ID}
	if cause != nil && d.at == d.begunAt {
		t.Text = fmt.Sprintf("the keys %v are tried again: %v", p.Span, cause)
	}
	if err := d.cfg.Queue.TellTrouble(t); err != nil {
		d.cfg.Log.Debug("tell of trouble", "import_id", p.ImportID, "err", err)
	}
}

// fail ends the import with the error of the partition, and the partition with it. An
// import that is committing does not need it any more.
func (d *delivery) fail(ctx context.Context, cause error) error {
	_, err := d.cfg.Imports.Apply(ctx, d.task.Partition.ImportID, func(r imports.Record) (imports.Record, error) {
		return r.Fail(d.now().UTC(), d.explain(cause), r.Objects)
	})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	return d.task.Ack(ctx)
}

// explain says of what ended an import which keys it is about and what can be
// done.
func (d *delivery) explain(cause error) string {
	var advice string
	switch {
	case errors.Is(cause, objectstore.ErrSettings):
		advice = "change the settings of the coordinators and workers, or their environment, as it says"
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
		cause = fmt.Errorf("%d tries in a row got no further: %w", d.fruitless(), cause)
		advice = "look at the store and at the workers' logs"
	}
	return fmt.Sprintf("the keys %v: %v. Nothing was committed; %s, and start the import again.", d.task.Partition.Span, cause, advice)
}
