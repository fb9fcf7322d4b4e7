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

// checkFiles compares ranges with their files, in any order. The error names one that differs.
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

// checkFile compares a range with its file.
func checkFile(ctx context.Context, files metarange.Parts, field string, r partition.RangeMetadata) error {
	is, err := metarange.Describe(ctx, files, r.ID)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return fault.BadField(field+".id", "%q: the repository has no such range", r.ID)
	case errors.Is(err, table.ErrCorrupt):
		return fault.BadField(field+".id", "%q is not a range: %v", r.ID, err)
	case err != nil:
		return fmt.Errorf("read range %s: %w", r.ID, err)
	case r.MinKey != is.MinKey:
		return fault.BadField(field+".min_key", "%q, but the range begins at %q", r.MinKey, is.MinKey)
	case r.MaxKey != is.MaxKey:
		return fault.BadField(field+".max_key", "%q, but the range ends at %q", r.MaxKey, is.MaxKey)
	case r.Count != is.Count:
		return fault.BadField(field+".count", "%d, but the range has %d entries", r.Count, is.Count)
	case r.EstimatedSize != is.EstimatedSize:
		return fault.BadField(field+".estimated_size", "%d, but that of the range is %d", r.EstimatedSize, is.EstimatedSize)
	}
	return nil
}
