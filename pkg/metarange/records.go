package metarange

import (
	"context"
	"fmt"
	"iter"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// WriteRecords stores records of any data as ranges, and their metarange, and returns its ID.
// Keys must increase and not be empty. One range is in memory at a time. An error of the
// records ends it.
func WriteRecords(ctx context.Context, files Files, breaks partition.Breaks, records iter.Seq2[table.Record, error]) (string, error) {
	var ranges []partition.RangeMetadata
	o := output{
		files: files, breaks: breaks, w: table.NewWriter(table.Ranges),
		yield:  func(r partition.RangeMetadata) bool { ranges = append(ranges, r); return true },
		stored: func(string) bool { return false },
	}
	defer o.w.Abort()
	for rec, err := range records {
		if err == nil {
			err = o.add(ctx, rec)
		}
		if err != nil {
			return "", fmt.Errorf("write records to ranges: %w", err)
		}
	}
	if err := o.flush(ctx); err != nil {
		return "", err
	}
	return Write(ctx, files, ranges)
}
