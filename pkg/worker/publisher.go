package worker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// publisher sends what a delivery says about its partition: covers, notes for the
// next delivery, partitions cut off it, and problems. All but problems are sent only
// while the delivery owns the partition. Covers and notes say where the partition was
// cut.
type publisher struct {
	backend   *backend.Backend
	partition partition.Partition // as it was queued
	ownership *ownership
	owned     *partition.Owned // nil before the delivery is resumed
	log       *slog.Logger
}

// cut returns where the partition was cut since it was queued, or "": a cut lies
// before the end that the partition was queued with.
func (p *publisher) cut() string {
	if p.owned == nil || p.owned.Upto() == p.partition.Upto {
		return ""
	}
	return p.owned.Upto()
}

func (p *publisher) cover(ctx context.Context, c partition.Cover) error {
	if err := p.ownership.check(); err != nil {
		return err
	}
	c.Cut = p.cut()
	return p.backend.Covers.Publish(ctx, p.partition.ImportID, p.partition.ID, c)
}

// note stores what the next delivery of the partition is to know of those before.
func (p *publisher) note(ctx context.Context, t covers.Tries) error {
	if err := p.ownership.check(); err != nil {
		return err
	}
	t.Cut = p.cut()
	return p.backend.Covers.NoteTries(ctx, p.partition.ImportID, p.partition.ID, t)
}

// give queues a part of the partition for others, and reports whether it did. A
// part that cannot be queued is no reason to stop listing.
func (p *publisher) give(ctx context.Context, part partition.Partition) bool {
	if p.ownership.check() != nil {
		return false // the guard stops the delivery
	}
	if err := p.backend.Queue.Publish(ctx, part); err != nil {
		p.log.Debug("queue a part of a partition", "err", err)
		return false
	}
	return true
}

// problem reports to coordinators, for the import's status, why the partition does not
// get further; "" reports that it does again.
func (p *publisher) problem(text string) {
	t := gossip.Problem{ImportID: p.partition.ImportID, PartitionID: p.partition.ID}
	if text != "" {
		t.Text = fmt.Sprintf("the keys %v%s", p.partition.Span, text)
	}
	if err := p.backend.Gossip.BroadcastProblem(t); err != nil {
		p.log.Debug("report a problem", "err", err)
	}
}
