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
	c, err := r.Cursor(after)
	if err != nil {
		return err
	}
	defer c.Close()
	for !c.Done() && f(c.Record) && err == nil {
		err = c.Next()
	}
	return err
}

// Cursor stands at a record of a table. It is All for those who take records from
// several tables by turns. It is for one goroutine, and has to be closed.
type Cursor struct {
	Record // its slices live until Next; zero if Done

	sst *sstable.Reader
	it  sstable.Iterator
}

// Cursor returns a cursor at the first record whose key is greater than after, or
// at the first of all if after is empty. An error wraps ErrCorrupt.
func (r *Reader) Cursor(after string) (*Cursor, error) {
	sst, err := open(r.data)
	if err != nil {
		return nil, err
	}
	it, err := sst.NewIter(nil, nil)
	if err != nil {
		_ = sst.Close() // it frees memory, nothing more
		return nil, fmt.Errorf("read table index: %w: %w", ErrCorrupt, err)
	}
	c := &Cursor{sst: sst, it: it}
	if err := c.first(after); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Done reports whether there is no record any more.
func (c *Cursor) Done() bool { return c.Key == nil }

// Next goes to the next record. An error wraps ErrCorrupt.
func (c *Cursor) Next() error {
	key, lazy := c.it.Next()
	if key == nil {
		return c.end()
	}
	value, _, err := lazy.Value(nil)
	return c.stand(key.UserKey, value, err)
}

func (c *Cursor) first(after string) error {
	key, lazy := c.it.SeekGE(append([]byte(after), 0), 0) // the least key greater than after
	if after == "" {
		key, lazy = c.it.First()
	}
	if key == nil {
		return c.end()
	}
	value, _, err := lazy.Value(nil)
	return c.stand(key.UserKey, value, err)
}

func (c *Cursor) stand(key, value []byte, err error) error {
	if err != nil {
		return fmt.Errorf("read table record %q: %w: %w", key, ErrCorrupt, err)
	}
	c.Record = Record{Key: key, Value: value}
	return nil
}

func (c *Cursor) end() error {
	c.Record = Record{}
	if err := c.it.Error(); err != nil {
		return fmt.Errorf("read table records: %w: %w", ErrCorrupt, err)
	}
	return nil
}

// Close frees what the cursor holds.
func (c *Cursor) Close() {
	_ = c.it.Close()  // reports only what Error reported
	_ = c.sst.Close() // it frees memory, nothing more
}
