package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// probe looks at the start of each path of an import. A path under which there is
// nothing is an emptyPaths error, unless the request allows it: a mistyped prefix would
// remove all that is under its destination.
func (d *driver) probe(ctx context.Context, record imports.Record) (source.Probe, error) {
	done, err := d.turn(ctx, stepPlan, d.plans, sourcesOf(record.Job))
	if err != nil {
		return source.Probe{}, err
	}
	defer done()
	src, err := source.Open(ctx, d.cfg.Stores, record.Job.Paths, record.Job.Listing.Mode)
	if err != nil {
		return source.Probe{}, fmt.Errorf("list the first page: %w", err)
	}
	src.Markers = record.Job.Markers
	var found source.Probe
	err = d.survive(ctx, func() (err error) {
		found, err = src.Probe(ctx)
		return err
	})
	if errors.Is(err, objectstore.ErrNotFound) {
		return source.Probe{}, fmt.Errorf("list the first page: %w. Nothing was changed: check the paths of the import", err)
	}
	if err != nil {
		return source.Probe{}, fmt.Errorf("list the first page: %w", err)
	}
	if len(found.Empty) > 0 && !record.Request.AllowEmpty {
		return source.Probe{}, emptyPaths(found.Empty)
	}
	return found, nil
}

// vanished returns an emptyPaths error for an import whose paths held keys when it was
// planned and of which none was listed.
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

// emptyPaths says that there is nothing under paths of an import, by their URIs, and
// that it is not made. It never goes away by trying again.
type emptyPaths []string

// namedPaths is how many paths an error names.
const namedPaths = 5

func (e emptyPaths) Error() string {
	shown := strings.Join(e[:min(namedPaths, len(e))], ", ")
	if more := len(e) - namedPaths; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("there is nothing under %s, so nothing was changed; to import it all the same, which removes "+
		"what is under its destination, set allow_empty (rangectl import --allow-empty)", shown)
}
