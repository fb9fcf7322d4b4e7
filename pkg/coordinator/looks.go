package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// looks holds a value for each file that is being compared with what a request says of it.
type looks chan struct{}

func newLooks() looks { return make(looks, limits.RangeFiles) }

// checkFiles compares ranges with their files, in any order. The error wraps ErrRange or
// errNoRange, and names one that differs.
// If the time of the limits is over first, it is a fault.Later.
func (l looks) checkFiles(ctx context.Context, files metarange.Parts, ranges []partition.RangeMetadata) error {
	timed, cancel := context.WithTimeout(ctx, limits.RangesTime*time.Second)
	defer cancel()
	checks, checking := errgroup.WithContext(timed)
	checks.SetLimit(limits.RangeFiles)
	var compared atomic.Int64
	for i, r := range ranges {
		if checking.Err() != nil {
			break
		}
		checks.Go(func() error {
			select {
			case l <- struct{}{}:
			case <-checking.Done():
				return checking.Err()
			}
			defer func() { <-l }()
			err := checkFile(checking, files, fmt.Sprintf("ranges[%d]", i), r)
			if err == nil {
				compared.Add(1)
			}
			return err
		})
	}
	err := checks.Wait()
	if timed.Err() != nil && ctx.Err() == nil && int(compared.Load()) < len(ranges) {
		return fault.Unavailable("ranges", "%d of %d were compared with their files within %d seconds: the store is slow, or these are too many",
			compared.Load(), len(ranges), limits.RangesTime)
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// ErrRange says that a range that a client names is not a range of the repository as its file
// describes it. Clients are told no more; errors that wrap it say which range it is, and why.
var ErrRange = fault.BadField("", "invalid range")

// errNoRange says that the repository has no range of an ID.
var errNoRange = fault.Missing("range")

// checkFile compares a range with its file.
func checkFile(ctx context.Context, files metarange.Parts, field string, r partition.RangeMetadata) error {
	is, err := metarange.Describe(ctx, files, r.ID)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return fmt.Errorf("%s.id: %q: %w", field, r.ID, errNoRange)
	case errors.Is(err, table.ErrCorrupt):
		return fmt.Errorf("%w: %s.id: %q is not a range: %w", ErrRange, field, r.ID, err)
	case err != nil:
		return fmt.Errorf("read range %s: %w", r.ID, err)
	case r.MinKey != is.MinKey:
		return fmt.Errorf("%w: %s.min_key: %q, but the range begins at %q", ErrRange, field, r.MinKey, is.MinKey)
	case r.MaxKey != is.MaxKey:
		return fmt.Errorf("%w: %s.max_key: %q, but the range ends at %q", ErrRange, field, r.MaxKey, is.MaxKey)
	case r.Count != is.Count:
		return fmt.Errorf("%w: %s.count: %d, but the range has %d entries", ErrRange, field, r.Count, is.Count)
	case r.EstimatedSize != is.EstimatedSize:
		return fmt.Errorf("%w: %s.estimated_size: %d, but that of the range is %d", ErrRange, field, r.EstimatedSize, is.EstimatedSize)
	}
	return nil
}
