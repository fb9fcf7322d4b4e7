package table

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Writer makes one table at a time, in memory. It is for one goroutine, though it hashes
// in others. It needs no Close.
type Writer struct {
	kind  Kind
	file  sst
	sums  sums
	first []byte // the first key
}

// NewWriter returns a writer of an empty table of the given kind.
func NewWriter(kind Kind) *Writer {
	w := &Writer{kind: kind}
	w.Reset(nil)
	return w
}

// Reset drops what the writer holds and starts an empty table of the same kind. Its file
// is built in the memory of buf, until it outgrows that. The writer owns buf from then on.
func (w *Writer) Reset(buf []byte) {
	w.file.reset(buf)
	w.sums.reset()
	w.first = w.first[:0]
}

// Add appends a record; it copies its arguments. The key must be greater than
// the one before it, and at most 8 KiB long.
func (w *Writer) Add(key, value []byte) error {
	at := w.sums.begin(key, len(value))
	w.sums.records = append(w.sums.records, value...)
	return w.add(key, at)
}

// AddEntry appends the record of entry i of b, an imported object of that identity;
// see AppendEntryValue. The key must be greater than the one before it, and at most
// 8 KiB long.
func (w *Writer) AddEntry(b entry.Batch, i int, identity Identity) error {
	key := b.Key(i)
	v := newEntryValue(b, i)
	at := w.sums.begin(key, v.len())
	w.sums.records = v.append(w.sums.records, identity)
	return w.add(key, at)
}

// add appends a record whose value was encoded among those to be hashed.
func (w *Writer) add(key []byte, at place) error {
	value := w.sums.records[at.value:]
	if len(key) > maxKey || len(value) > maxValue {
		w.sums.drop(at)
		return fmt.Errorf("add a key of %d bytes with a value of %d to a table: want at most %d and %d", len(key), len(value), maxKey, maxValue)
	}
	if !w.file.add(key, value) {
		w.sums.drop(at)
		return fmt.Errorf("add key %q to a table after key %q: keys must increase", key, w.file.lastKey())
	}
	if w.file.count == 1 {
		w.first = append(w.first, key...)
	}
	w.sums.end(w.file.buf)
	return nil
}

// Len returns the number of records added.
func (w *Writer) Len() int64 { return int64(w.file.count) }

// EstimatedSize returns an estimate of the size in bytes that the file would have if it
// were closed now. It decides where ranges end, so the estimate is part of the format.
func (w *Writer) EstimatedSize() uint64 { return uint64(w.file.estimatedSize()) }

// Grow makes room for a file of size bytes, so that it is not copied while it grows to
// that size.
func (w *Writer) Grow(size int) {
	if more := size - len(w.file.buf); more > 0 {
		w.file.buf = slices.Grow(w.file.buf, more)
	}
}

// Room returns how many bytes the file can grow without being moved.
func (w *Writer) Room() int { return cap(w.file.buf) - len(w.file.buf) }

// Move moves the file into the memory of buf, which must be large enough, and returns the
// memory that it leaves. The writer owns buf from then on.
func (w *Writer) Move(buf []byte) []byte {
	w.sums.wait() // they read the memory that it leaves
	left := w.file.buf
	w.file.buf = append(buf[:0], left...)
	return left
}

// Abort drops the open table and returns its memory for other use, or nil if no table is
// open. Afterwards only Reset may be called.
func (w *Writer) Abort() []byte {
	w.sums.wait()
	buf := w.file.buf
	w.file.buf = nil
	return buf
}

// Close finishes the table and gives its file to the caller. Afterwards only Reset may be
// called.
func (w *Writer) Close() Table {
	meta := partition.RangeMetadata{
		MinKey:        string(w.first),
		MaxKey:        string(w.file.lastKey()),
		Count:         w.Len(),
		EstimatedSize: w.EstimatedSize(),
	}
	data := w.file.finish(w.kind, meta)
	w.file.buf = nil
	// The ID covers the properties as they are before the table's description joins them.
	id, sum := w.sums.finish(ident.AppendStringMap(nil, map[string]string{propType: string(w.kind)}), data)
	meta.ID = hex.EncodeToString(id[:])
	return Table{Meta: meta, Data: data, Sum: sum}
}
