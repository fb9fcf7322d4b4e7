// Package rangetest computes, for tests, the ranges that an import of entries must have, and
// partitions of an import.
package rangetest

import (
	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Ranges returns the ranges that a single writer makes of sorted entries. Every import of them
// must have these ranges.
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

// Plan returns partitions of all keys of an import, cut at cuts, which increase strictly.
func Plan(importID string, cuts []string) []partition.Partition {
	parts := make([]partition.Partition, 0, len(cuts)+1)
	after := ""
	for _, cut := range cuts {
		parts = append(parts, partition.New(importID, partition.Span{After: after, Upto: cut}, false, false))
		after = cut
	}
	return append(parts, partition.New(importID, partition.Span{After: after}, false, false))
}

// Value returns the value of an entry's record.
func Value(e entry.Entry) []byte {
	b := entrytest.Batch(e)
	defer b.Release()
	return table.AppendEntryValue(nil, b, 0, table.Identities(nil, b)[0])
}
