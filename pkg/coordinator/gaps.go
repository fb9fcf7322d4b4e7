package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// maxListings bounds how often a stretch of keys is listed again because its covers
// do not chain.
const maxListings = 10

// closeGaps queues each gap that no partition, queued or running, will cover.
// This one rule repairs whatever was lost between two steps of anybody.
//
// A partition leaves the queue after its last cover is stored. A survey looks at
// the queue first, and the covers that it counts then include those of every
// partition that it did not see there.
func (d *driver) closeGaps(ctx context.Context, record imports.Record) error {
	fold, covers := d.progress.fold()
	outstanding, known, err := d.surveyedAfter(ctx, record, covers)
	if err != nil || !known {
		return err
	}
	for _, p := range partition.Uncovered(d.id, fold.Gaps, outstanding) {
		if d.listings[p.After] == maxListings {
			return inconsistent{p.Span}
		}
		if err := d.publish(ctx, queue.Bulk, p); err != nil {
			return err
		}
		d.listings[p.After]++
		d.cfg.Log.Info("gap queued again", "import_id", d.id, "span", p.Span.String(), "times", d.listings[p.After])
		d.metrics.gapsClosed.Inc()
	}
	return nil
}

// settled reports whether nobody can refute the end of a fold. Where it was told by a
// partition that does not own all keys up to the open end, whoever lists what lies
// beyond must have ended: his covers come in before his partition leaves the queue.
// What is settled stays so until another cover comes in.
func (d *driver) settled(ctx context.Context, record imports.Record, fold partition.Fold, covers uint64) (bool, error) {
	if fold.Beyond == "" || covers == d.settledBy {
		return true, nil
	}
	outstanding, known, err := d.surveyedAfter(ctx, record, covers)
	if err != nil || !known {
		return false, err
	}
	beyond := partition.Span{After: fold.Beyond}
	if slices.ContainsFunc(outstanding, func(p partition.Partition) bool { return p.Overlaps(beyond) }) {
		return false, nil
	}
	d.settledBy = covers
	return true, nil
}

// surveyedAfter returns the partitions that the last survey saw, queued or running.
// They are known once it began after the driver last changed the queue, no earlier
// call has used it, and all covers that it counted are among so many.
func (d *driver) surveyedAfter(ctx context.Context, record imports.Record, covers uint64) (parts []partition.Partition, known bool, err error) {
	seen := d.survey.Load()
	if seen == nil || seen.number <= d.surveyed || covers < seen.Covers[d.id] {
		return nil, false, nil
	}
	d.surveyed = seen.number
	return d.outstanding(ctx, record, seen.Partitions[d.id])
}

// outstanding returns the partitions of the IDs, which a survey saw, and whether
// none of them has left the queue before it could be read: its covers may not be
// in the count of that survey. Read partitions are kept, since they never change.
func (d *driver) outstanding(ctx context.Context, record imports.Record, ids []string) (parts []partition.Partition, all bool, err error) {
	for _, p := range record.Partitions {
		d.parts[p.ID] = p
	}
	known := make(map[string]partition.Partition, len(ids))
	var unknown []string
	for _, id := range ids {
		if p, ok := d.parts[id]; ok {
			known[id] = p
		} else {
			unknown = append(unknown, id)
		}
	}
	read, err := d.cfg.Queue.Partitions(ctx, d.id, unknown)
	if err != nil {
		return nil, false, err
	}
	for _, p := range read {
		known[p.ID] = p
	}
	d.parts = known
	return slices.Collect(maps.Values(known)), len(read) == len(unknown), nil
}

// inconsistent says that the covers of a span do not chain, however often it is
// listed.
type inconsistent struct{ span partition.Span }

func (e inconsistent) Error() string {
	return fmt.Sprintf("the keys in %v were listed %d times and never gave ranges that join their neighbours: "+
		"the source changes faster than it can be listed", e.span, maxListings)
}
