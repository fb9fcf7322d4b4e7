// Package oracle computes, with lakeFS's own packages, the metarange that an import must
// produce.
package oracle

import (
	"context"
	"crypto"
	_ "crypto/sha256" // registers crypto.SHA256
	"errors"
	"fmt"
	"os"

	"github.com/treeverse/lakefs/pkg/catalog"
	"github.com/treeverse/lakefs/pkg/graveler"
	"github.com/treeverse/lakefs/pkg/graveler/committed"
	"github.com/treeverse/lakefs/pkg/graveler/sstable"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

const (
	uploaders = 2
	storageID = ""
	namespace = "mem://oracle"
)

// Metarange writes the files of an import of entries, sorted by key, to an empty branch. It
// returns the ID of the metarange and its ranges in key order. The files go to a temporary
// directory, which Metarange removes.
func Metarange(entries []entry.Entry, breaks partition.Breaks) (id string, ranges []partition.RangeMetadata, err error) {
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the oracle's files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx := context.Background()
	manager := Manager(dir)
	if id, err = write(ctx, manager, entries, breaks); err != nil {
		return "", nil, fmt.Errorf("write metarange: %w", err)
	}
	if ranges, err = Ranges(ctx, manager, id); err != nil {
		return "", nil, fmt.Errorf("read metarange %s: %w", id, err)
	}
	return id, ranges, nil
}

// Manager returns lakeFS's reader and writer of tables for files in a directory, which are
// named by their IDs.
func Manager(dir string) committed.RangeManager {
	return sstable.NewPebbleSSTableRangeManager(nil, dirFS(dir), crypto.SHA256, storageID)
}

// Ranges returns the ranges of a metarange.
func Ranges(ctx context.Context, manager committed.RangeManager, id string) ([]partition.RangeMetadata, error) {
	it, err := manager.NewRangeIterator(ctx, namespace, committed.ID(id))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var ranges []partition.RangeMetadata
	for it.Next() {
		value, err := committed.UnmarshalValue(it.Value().Value)
		if err != nil {
			return nil, err
		}
		r, err := committed.UnmarshalRange(value.Data)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, partition.RangeMetadata{
			ID:            string(value.Identity),
			MinKey:        string(r.MinKey),
			MaxKey:        string(r.MaxKey),
			Count:         r.Count,
			EstimatedSize: r.EstimatedSize,
		})
	}
	return ranges, it.Err()
}

// Entries returns the entries of a range.
func Entries(ctx context.Context, manager committed.RangeManager, id string) ([]entry.Entry, error) {
	it, err := manager.NewRangeIterator(ctx, namespace, committed.ID(id))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var entries []entry.Entry
	for it.Next() {
		rec := it.Value()
		value, err := committed.UnmarshalValue(rec.Value)
		if err != nil {
			return nil, err
		}
		e, err := catalog.ValueToEntry(&graveler.Value{Identity: value.Identity, Data: value.Data})
		if err != nil {
			return nil, err
		}
		if e.AddressType != catalog.Entry_FULL {
			return nil, fmt.Errorf("key %q: address type %s", rec.Key, e.AddressType)
		}
		entries = append(entries, entry.Entry{
			Key:     string(rec.Key),
			Address: e.Address,
			ETag:    e.ETag,
			Size:    e.Size,
			ModTime: e.LastModified.AsTime(),
		})
	}
	return entries, it.Err()
}

func write(ctx context.Context, manager committed.RangeManager, entries []entry.Entry, breaks partition.Breaks) (string, error) {
	w := committed.NewGeneralMetaRangeWriter(ctx, manager, manager, &committed.Params{
		MinRangeSizeBytes:          breaks.MinSize,
		MaxRangeSizeBytes:          breaks.MaxSize,
		RangeSizeEntriesRaggedness: float64(breaks.Raggedness),
		MaxUploaders:               uploaders,
	}, storageID, namespace, nil)
	for _, e := range entries {
		value, err := catalog.EntryToValue(&catalog.Entry{
			Address:      e.Address,
			AddressType:  catalog.Entry_FULL,
			LastModified: timestamppb.New(e.ModTime),
			Size:         e.Size,
			ETag:         e.ETag,
		})
		if err != nil {
			return "", errors.Join(err, w.Abort())
		}
		if err := w.WriteRecord(graveler.ValueRecord{Key: graveler.Key(e.Key), Value: value}); err != nil {
			return "", errors.Join(fmt.Errorf("key %q: %w", e.Key, err), w.Abort())
		}
	}
	id, err := w.Close(ctx)
	if err != nil {
		return "", err
	}
	return string(*id), nil
}
