package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// publishers is how many partitions of an import are on their way to the queue.
const publishers = 16

// plan records one partition of all keys, and queues it: where keys lie shows only
// while they are listed, and workers cut it then. If a crash keeps it from the
// queue, its keys are a gap like any other.
func (d *driver) plan(ctx context.Context, record imports.Record) error {
	listing, err := d.chooseListing(ctx, record.Job)
	if err != nil {
		return err
	}
	record.Job.Listing = listing
	found, err := d.probe(ctx, record)
	if err != nil {
		return err
	}
	record, err = d.cfg.Imports.Apply(ctx, d.id, func(r imports.Record) (imports.Record, error) {
		return r.Plan(d.cfg.Now().UTC(), partition.Plan(d.id, nil), listing, found.Skipped)
	})
	if fault.Is(err, fault.Conflict) {
		return nil // it was canceled meanwhile
	}
	if err != nil {
		return err
	}
	d.metrics.planned.Add(float64(len(record.Partitions)))
	d.cfg.Log.Info("import planned", "import_id", d.id, "small", found.Small, "skipped", found.Skipped,
		"listing", listing.Mode, "why", listing.Why)
	lane := queue.Bulk
	if found.Small {
		lane = queue.Express
	}
	return d.publish(ctx, lane, record.Partitions...)
}

// chooseListing chooses how the import's buckets are listed. All of them are
// reached in one way, so the first one stands for all.
func (d *driver) chooseListing(ctx context.Context, job imports.Job) (objectstore.Listing, error) {
	for _, p := range job.Paths {
		uri, err := objectstore.ParseURI(p.URI)
		if err != nil {
			return objectstore.Listing{}, fmt.Errorf("%w: %w", objectstore.ErrRefused, err)
		}
		if uri.Scheme == objectstore.SchemeS3 {
			return d.cfg.Stores.Listing(ctx, uri)
		}
	}
	return objectstore.Listing{Mode: objectstore.Parallel}, nil
}

// sourcesOf names the stores of an import's paths: what makes planning slow.
func sourcesOf(job imports.Job) string {
	var names []string
	for _, p := range job.Paths {
		names = append(names, storeOf(p.URI))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// publish queues partitions. Only a survey that begins after that may tell that
// they are not there.
func (d *driver) publish(ctx context.Context, lane queue.Lane, parts ...partition.Partition) error {
	defer func() { d.surveyed = d.surveys.Load() }()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(publishers)
	for i, p := range parts {
		d.parts[p.ID] = p
		put := func() error { return d.cfg.Queue.PublishTo(ctx, lane, p) }
		if i > 0 {
			g.Go(put)
		} else if err := put(); err != nil { // the first keys are listed first
			return err
		}
	}
	return g.Wait()
}
