package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// planner plans one import. It is for one goroutine.
type planner struct {
	imp     *importHandle
	stores  objectstore.Chooser
	roles   roles.Table
	steps   *stepRunner
	publish func(ctx context.Context, lane queue.Lane, part partition.Partition) error
}

// plan records one partition of all keys, and queues it. Where keys lie shows only while
// they are listed, and workers cut it then. If a crash keeps it from the queue, its keys
// are a gap like any other.
func (p *planner) plan(ctx context.Context, record imports.Record) error {
	listing, err := chooseListing(ctx, p.stores, record.Job)
	if err != nil {
		return err
	}
	record.Job.Listing = listing
	assumed, err := source.Roles(p.roles, record.Job.Paths)
	if err != nil {
		return err
	}
	found, err := p.probe(ctx, record)
	if err != nil {
		return err
	}
	id := record.Job.ImportID
	record, err = p.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
		return r.Plan(p.imp.now().UTC(), []partition.Partition{partition.Whole(id)}, listing, assumed, found.Skipped)
	})
	if fault.Is(err, fault.Conflict) {
		return nil // it was canceled meanwhile
	}
	if err != nil {
		return err
	}
	p.imp.metrics.planned.Inc()
	said := []any{"small", found.Small, "skipped", found.Skipped, "listing", listing.Mode}
	if listing.Why != "" { // a directory is listed in one way only
		said = append(said, "why", listing.Why)
	}
	p.imp.log.InfoContext(ctx, "import planned", said...)
	lane := queue.Bulk
	if found.Small {
		lane = queue.Express
	}
	return p.publish(ctx, lane, record.Partitions[0])
}

// chooseListing chooses how the import's buckets are listed. All of them are reached in
// one way, so the first one stands for all.
func chooseListing(ctx context.Context, stores objectstore.Chooser, job imports.Job) (objectstore.Listing, error) {
	for _, p := range job.Paths {
		uri, err := objectstore.ParseURI(p.URI)
		if err != nil {
			return objectstore.Listing{}, fmt.Errorf("%w: %w", objectstore.ErrRefused, err)
		}
		if uri.Scheme == objectstore.SchemeS3 {
			return stores.Listing(ctx, uri)
		}
	}
	return objectstore.Listing{Mode: objectstore.Parallel}, nil
}

// probe looks at the first keys of each path of an import. A path without keys is an
// emptyPaths error, unless the request allows it: a mistyped prefix would remove all that
// is under its destination.
func (p *planner) probe(ctx context.Context, record imports.Record) (source.Probe, error) {
	done, err := p.steps.begin(ctx, stepPlan, storesOf(record.Job))
	if err != nil {
		return source.Probe{}, err
	}
	defer done()
	var found source.Probe
	err = p.steps.survive(ctx, func() error {
		src, err := source.Open(ctx, p.stores, record.Job.Paths, record.Job.Listing.Mode)
		if err != nil {
			return err
		}
		src.Markers = record.Job.Markers
		found, err = src.Probe(ctx)
		return err
	})
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		err = fmt.Errorf("list the first page: %w. Nothing was changed: check the paths of the import", err)
	case err != nil:
		err = fmt.Errorf("list the first page: %w", err)
	case len(found.Empty) > 0 && !record.Request.AllowEmpty:
		err = emptyPaths(found.Empty)
	}
	return found, err
}

// storesOf names the stores of an import's paths, on which the time of planning depends.
func storesOf(job imports.Job) string {
	var names []string
	for _, p := range job.Paths {
		names = append(names, storeOf(p.URI))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// vanished returns an emptyPaths error for an import whose paths held keys when it was
// planned, and no key when they were listed.
func vanished(record imports.Record, objects int64) error {
	if objects > 0 || len(record.Job.Paths) == 0 || record.Request.AllowEmpty {
		return nil
	}
	uris := make(emptyPaths, len(record.Job.Paths))
	for i, p := range record.Job.Paths {
		uris[i] = p.URI
	}
	return uris
}

// emptyPaths are the URIs of paths of an import that hold no key. Trying again does not
// help.
type emptyPaths []string

func (e emptyPaths) Error() string {
	const namedPaths = 5
	shown := strings.Join(e[:min(namedPaths, len(e))], ", ")
	if more := len(e) - namedPaths; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("there is nothing under %s, so nothing was changed; to import it all the same, which removes "+
		"what is under its destination, set allow_empty (rangectl import --allow-empty)", shown)
}
