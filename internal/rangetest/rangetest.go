// Package rangetest tells tests what ranges entries come out as.
package rangetest

import (
	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Ranges returns the ranges that one reader makes of sorted entries, one table
// after the other: what every import of them must come out as.
func Ranges(entries []entry.Entry, breaks partition.Breaks) ([]partition.RangeMetadata, error) {
	var ranges []partition.RangeMetadata
	w := table.NewWriter(table.Ranges)
	for i, e := range entries {
		if err := w.Add([]byte(e.Key), Value(e)); err != nil {
			return nil, err
		}
		if breaks.EndsAfter([]byte(e.Key), w.EstimatedSize()) || i == len(entries)-1 {
			t := w.Close()
			ranges, w = append(ranges, t.Meta), table.NewWriter(table.Ranges)
		}
	}
	w.Abort()
	return ranges, nil
}

// Value returns the value of an entry's record.
func Value(e entry.Entry) []byte {
	b := entrytest.Batch(e)
	defer b.Release()
	return table.AppendEntryValue(nil, b, 0, table.Identities(nil, b)[0])
}
