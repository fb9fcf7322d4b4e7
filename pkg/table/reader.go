package table

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/cockroachdb/pebble/sstable"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Reader reads a table that is in memory. It is immutable and may be used
// concurrently.
type Reader struct {
	data []byte
	kind Kind
	meta partition.RangeMetadata
}

// NewReader returns a reader of the table that data holds; the reader keeps
// data, which must not change. Bytes that are not a table, or one without this
// format's properties, wrap ErrCorrupt. Records are checked only as they are
// read.
func NewReader(data []byte) (*Reader, error) {
	sst, err := open(data)
	if err != nil {
		return nil, err
	}
	defer sst.Close() //nolint:errcheck // it frees memory, nothing more
	r := &Reader{data: data}
	if err := r.describe(sst.Properties.UserProperties); err != nil {
		return nil, fmt.Errorf("open table: %w: %w", ErrCorrupt, err)
	}
	return r, nil
}

func open(data []byte) (*sstable.Reader, error) {
	sst, err := sstable.NewReader(readable(data), sstable.ReaderOptions{})
	if err != nil {
		return nil, fmt.Errorf("open table of %d bytes: %w: %w", len(data), ErrCorrupt, err)
	}
	return sst, nil
}

// describe takes over the table's properties.
func (r *Reader) describe(props map[string]string) error {
	r.kind = Kind(props[propType])
	if r.kind != Ranges && r.kind != Metaranges {
		return fmt.Errorf("property %s is %q", propType, r.kind)
	}
	count, err := strconv.ParseInt(props[propCount], 10, 64)
	if err != nil || count < 0 {
		return fmt.Errorf("property %s is %q", propCount, props[propCount])
	}
	size, err := strconv.ParseUint(props[propEstimatedSize], 10, 64)
	if err != nil {
		return fmt.Errorf("property %s is %q", propEstimatedSize, props[propEstimatedSize])
	}
	r.meta = partition.RangeMetadata{
		MinKey:        props[propMinKey],
		MaxKey:        props[propMaxKey],
		Count:         count,
		EstimatedSize: size,
	}
	return nil
}

// Kind returns what the table's records are.
func (r *Reader) Kind() Kind { return r.kind }

// Properties returns what the table says that it holds. The ID is empty: a
// table does not hold its own.
func (r *Reader) Properties() partition.RangeMetadata { return r.meta }

// All yields the records whose keys are greater than after, in key order; all
// of them if after is empty. A record's slices live until the next iteration. An
// error is yielded last, with a zero Record, and wraps ErrCorrupt.
func (r *Reader) All(after string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := r.each(after, func(rec Record) bool { return yield(rec, nil) }); err != nil {
			yield(Record{}, err)
		}
	}
}

// each calls f for the records that All yields until f returns false.
func (r *Reader) each(after string, f func(Record) bool) error {
	sst, err := open(r.data)
	if err != nil {
		return err
	}
	defer sst.Close() //nolint:errcheck // it frees memory, nothing more
	it, err := sst.NewIter(nil, nil)
	if err != nil {
		return fmt.Errorf("read table index: %w: %w", ErrCorrupt, err)
	}
	defer it.Close() //nolint:errcheck // reports only what Error reported

	// The least key greater than after is after with a zero byte.
	key, lazy := it.SeekGE(append([]byte(after), 0), 0)
	if after == "" {
		key, lazy = it.First()
	}
	for ; key != nil; key, lazy = it.Next() {
		value, _, err := lazy.Value(nil)
		if err != nil {
			return fmt.Errorf("read table record %q: %w: %w", key.UserKey, ErrCorrupt, err)
		}
		if !f(Record{Key: key.UserKey, Value: value}) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("read table records: %w: %w", ErrCorrupt, err)
	}
	return nil
}
