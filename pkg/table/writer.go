package table

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Writer makes one table at a time, in memory. It is for one goroutine, and
// holds nothing that has to be given back.
type Writer struct {
	kind  Kind
	file  sst
	id    sha256x2.Digest
	first []byte // the first key
	value []byte // scratch: the value of an entry
}

// NewWriter returns a writer of an empty table of the given kind.
func NewWriter(kind Kind) *Writer {
	w := &Writer{kind: kind}
	w.Reset(nil)
	return w
}

// Reset drops what the writer holds and starts an empty table of the same kind,
// whose file is built in the memory of buf, or in more if that is too small. The
// writer owns buf from then on.
func (w *Writer) Reset(buf []byte) {
	w.file.reset(buf)
	w.id.Reset()
	w.first = w.first[:0]
}

// Add appends a record; it copies its arguments. The key must be greater than
// the one before it.
func (w *Writer) Add(key, value []byte) error {
	if !w.file.add(key, value) {
		return fmt.Errorf("add key %q to a table after key %q: keys must increase", key, w.file.lastKey())
	}
	if w.file.count == 1 {
		w.first = append(w.first, key...)
	}
	w.id.Extend(appendHashInput(appendHashInput(w.id.Buffer(), key), value))
	return nil
}

// AddEntry appends the record of entry i of b, as AppendEntryValue makes it. The
// sum that is the entry's identity is computed beside the table's, which takes
// two thirds of the time of one after the other.
func (w *Writer) AddEntry(b entry.Batch, i int) error {
	w.value = appendEntryValue(w.value[:0], b, i, &w.id)
	return w.Add(b.Key(i), w.value)
}

// Len returns the number of records added.
func (w *Writer) Len() int64 { return int64(w.file.count) }

// EstimatedSize returns the size in bytes that the file would have if it were
// closed now, as estimated after every record: it decides where ranges end, so
// it is part of the format.
func (w *Writer) EstimatedSize() uint64 { return uint64(w.file.estimatedSize()) }

// Grow makes room for a file of so many bytes, so that its memory is not copied
// as it grows to that.
func (w *Writer) Grow(size int) {
	if more := size - len(w.file.buf); more > 0 {
		w.file.buf = slices.Grow(w.file.buf, more)
	}
}

// Abort drops the table that is open and returns its memory for other use; nil
// if none is open. The writer can then only be Reset.
func (w *Writer) Abort() []byte {
	buf := w.file.buf
	w.file.buf = nil
	return buf
}

// Close finishes the table and hands its file over to the caller. The writer
// can then only be Reset.
func (w *Writer) Close() Table {
	// The ID covers the properties as they are before the table's description
	// joins them.
	w.id.Extend(ident.AppendStringMap(w.id.Buffer(), map[string]string{propType: string(w.kind)}))
	id := w.id.Sum()
	meta := partition.RangeMetadata{
		ID:            hex.EncodeToString(id[:]),
		MinKey:        string(w.first),
		MaxKey:        string(w.file.lastKey()),
		Count:         w.Len(),
		EstimatedSize: w.EstimatedSize(),
	}
	data := w.file.finish(description{w.kind, meta})
	w.file.buf = nil
	return Table{Meta: meta, Data: data}
}

// appendHashInput appends what b, a key or a value, adds to the hash of an ID.
func appendHashInput(dst, b []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	return append(append(dst, b...), '|')
}
