package table

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// corrupt returns an error that wraps ErrCorrupt, once: args may include an error that
// wraps it already.
func corrupt(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Reader reads a table. It trusts nothing in the file: it returns what is consistent, or
// an error that wraps ErrCorrupt. It allocates memory for what the file holds, never for
// what it claims to hold. Errors of the File are passed on; all others wrap ErrCorrupt. A
// Reader is immutable and may be used concurrently.
type Reader struct {
	file  File
	end   int64  // blocks lie before this offset
	index []byte // content of the block at which the index begins
	parts bool   // index lists parts of the index, which list data blocks

	kind  Kind
	meta  partition.RangeMetadata
	props map[string]string // that the ID covers
}

// NewReader returns a reader of the table that data holds; the reader keeps
// data, which must not change.
func NewReader(data []byte) (*Reader, error) { return Open(context.Background(), Bytes(data)) }

// Open returns a reader of the table in a file. It reads the footer, the properties and
// the first block of the index.
func Open(ctx context.Context, f File) (*Reader, error) { return open(ctx, f, true) }

// Describe returns the kind of the table in a file, and what the table says that it holds, as
// Properties does. It reads the footer and the properties, both of which lie at the end.
func Describe(ctx context.Context, f File) (Kind, partition.RangeMetadata, error) {
	r, err := open(ctx, f, false)
	if err != nil {
		return "", partition.RangeMetadata{}, err
	}
	return r.kind, r.meta, nil
}

// open returns a reader of a table. Without the index, it can read no records.
func open(ctx context.Context, f File, index bool) (*Reader, error) {
	end := f.Size() - footerSize
	if end < 0 {
		return nil, corrupt("open table: the file has %d bytes, fewer than a footer", f.Size())
	}
	var tries rereads
	for {
		foot, err := f.Section(ctx, end, footerSize)
		if err != nil {
			return nil, fmt.Errorf("open table: %w", err)
		}
		r, err := openAt(ctx, f, foot, index)
		if err == nil {
			return r, nil
		}
		// A footer has no checksum: only what it points to shows that it is damaged.
		err = tries.again(foot, fmt.Errorf("open table: %w", err), func() bool { return f.Renew(end, footerSize) })
		if err != nil {
			return nil, err
		}
	}
}

// openAt opens the table that a footer describes.
func openAt(ctx context.Context, f File, foot []byte, withIndex bool) (*Reader, error) {
	r := &Reader{file: f, end: f.Size() - footerSize}
	metaindex, index, err := parseFooter(foot, r.end)
	if err != nil {
		return nil, err
	}
	if err := r.describe(ctx, metaindex); err != nil {
		return nil, err
	}
	if !withIndex {
		return r, nil
	}
	if r.index, err = readBlock(ctx, f, index, nil); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return r, nil
}

// Kind returns what the table's records are.
func (r *Reader) Kind() Kind { return r.kind }

// Properties returns what the table says that it holds. The ID is empty: a
// table does not contain its own.
func (r *Reader) Properties() partition.RangeMetadata { return r.meta }

// Size returns the size of the table's file in bytes.
func (r *Reader) Size() int64 { return r.file.Size() }

// describe reads the properties block, which the metaindex block lists.
func (r *Reader) describe(ctx context.Context, metaindex handle) error {
	blocks, err := r.pairs(ctx, metaindex)
	if err != nil {
		return fmt.Errorf("metaindex: %w", err)
	}
	at, err := parseHandle([]byte(blocks[propertiesBlock]), r.end)
	if err != nil {
		return fmt.Errorf("properties: %w", err)
	}
	props, err := r.pairs(ctx, at)
	if err != nil {
		return fmt.Errorf("properties: %w", err)
	}
	return r.takeProperties(props)
}

// maxProperties is the most records of a block that is read as a whole. There are about 40.
const maxProperties = 1000

// pairs returns the keys and values of a small block.
func (r *Reader) pairs(ctx context.Context, h handle) (map[string]string, error) {
	content, err := readBlock(ctx, r.file, h, nil)
	if err != nil {
		return nil, err
	}
	var e entries
	if err := e.load(content); err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for range maxProperties {
		ok, err := e.next()
		if !ok || err != nil {
			return all, err
		}
		all[string(e.key)] = string(e.value)
	}
	return nil, corrupt("more than %d records", maxProperties)
}

// minRecord is the size in bytes of the smallest record of a block: three lengths and one
// byte of a key.
const minRecord = 4

// takeProperties checks and stores what the table says that it holds.
func (r *Reader) takeProperties(props map[string]string) error {
	if got := props[propComparator]; got != "" && got != comparator {
		return corrupt("property %s is %q, want %q", propComparator, got, comparator)
	}
	r.kind = Kind(props[propType])
	if r.kind != Ranges && r.kind != Metaranges {
		return corrupt("property %s is %q", propType, r.kind)
	}
	count, err := strconv.ParseInt(props[propCount], 10, 64)
	if err != nil || count < 0 || count > r.file.Size()*maxRatio/minRecord {
		return corrupt("property %s is %q in a file of %d bytes", propCount, props[propCount], r.file.Size())
	}
	size, err := strconv.ParseUint(props[propEstimatedSize], 10, 64)
	if err != nil {
		return corrupt("property %s is %q", propEstimatedSize, props[propEstimatedSize])
	}
	switch kind := props[propIndexType]; kind {
	case "", indexOneLevel:
	case indexTwoLevels:
		r.parts = true
	default:
		return corrupt("property %s is %x", propIndexType, kind)
	}
	r.meta = partition.RangeMetadata{MinKey: props[propMinKey], MaxKey: props[propMaxKey], Count: count, EstimatedSize: size}
	r.props = hashedProperties(props)
	return nil
}

// hashedProperties returns the properties that a table's ID covers: those that its writer
// added, less those that describe the table.
func hashedProperties(props map[string]string) map[string]string {
	hashed := make(map[string]string)
	for name, value := range props {
		switch {
		case strings.HasPrefix(name, "rocksdb."), strings.HasPrefix(name, "pebble."):
		case name == propMinKey, name == propMaxKey, name == propCount, name == propEstimatedSize:
		default:
			hashed[name] = value
		}
	}
	return hashed
}

// From yields the records whose keys are not less than key, in key order. A
// record's slices live until the next iteration. An error is yielded last, with a
// zero Record.
func (r *Reader) From(ctx context.Context, key string) iter.Seq2[Record, error] {
	return records(ctx, func() (*Cursor, error) { return r.Cursor(ctx, key) })
}

// All yields all records like From, and then makes sure that they are those of
// the table's ID. An error is yielded last, with a zero Record. The records are verified
// only once the sequence has ended without an error.
func (r *Reader) All(ctx context.Context, id string) iter.Seq2[Record, error] {
	return records(ctx, func() (*Cursor, error) { return r.Whole(ctx, id) })
}

func records(ctx context.Context, open func() (*Cursor, error)) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		c, err := open()
		for err == nil && !c.Done() {
			if !yield(c.Record, nil) {
				return
			}
			err = c.Next(ctx)
		}
		if err != nil {
			yield(Record{}, err)
		}
	}
}
