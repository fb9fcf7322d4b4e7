package table

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"strconv"

	"github.com/cockroachdb/pebble/sstable"

	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Writer makes one table at a time, in memory. It is for one goroutine. Each
// table ends with Close or Abort, after an error with Abort.
type Writer struct {
	kind  Kind
	file  file
	sst   *sstable.Writer
	props properties
	id    hash.Hash
	toID  []byte // hash input not yet given to id
	first []byte
	last  []byte
	count int64
}

// hashChunk is how many bytes are collected before they are hashed: a record is
// a few short strings, and hashing them one by one costs more than copying them.
const hashChunk = 4 << 10

// NewWriter returns a writer of an empty table of the given kind.
func NewWriter(kind Kind) *Writer {
	w := &Writer{kind: kind, id: sha256.New()}
	w.Reset(nil)
	return w
}

// Reset drops what the writer holds and starts an empty table of the same kind,
// whose file is built in the memory of buf, or in more if that is too small. The
// writer owns buf from then on.
func (w *Writer) Reset(buf []byte) {
	w.Abort()
	w.file.data = buf[:0]
	w.props = properties{propType: string(w.kind)}
	props := w.props
	w.sst = sstable.NewWriter(&w.file, sstable.WriterOptions{
		Compression: sstable.SnappyCompression,
		TablePropertyCollectors: []func() sstable.TablePropertyCollector{
			func() sstable.TablePropertyCollector { return props },
		},
	})
	w.id.Reset()
	w.toID = w.toID[:0]
	w.first, w.last = w.first[:0], w.last[:0]
	w.count = 0
}

// Add appends a record; it copies its arguments. The key must be greater than
// the one before it.
func (w *Writer) Add(key, value []byte) error {
	if w.count > 0 && bytes.Compare(key, w.last) <= 0 {
		return fmt.Errorf("add key %q to a table after key %q: keys must increase", key, w.last)
	}
	if err := w.sst.Set(key, value); err != nil {
		return fmt.Errorf("add key %q to a table: %w", key, err)
	}
	if w.count == 0 {
		w.first = append(w.first, key...)
	}
	w.last = append(w.last[:0], key...)
	w.count++

	w.toID = appendHashInput(appendHashInput(w.toID, key), value)
	if len(w.toID) >= hashChunk {
		w.id.Write(w.toID)
		w.toID = w.toID[:0]
	}
	return nil
}

// Len returns the number of records added.
func (w *Writer) Len() int64 { return w.count }

// EstimatedSize returns the size in bytes that the file would have if it were
// closed now, as estimated after every record: it decides where ranges end, so
// it is part of the format.
func (w *Writer) EstimatedSize() uint64 { return w.sst.EstimatedSize() }

// Abort drops the table that is open, if one is. The writer can then only be
// Reset.
func (w *Writer) Abort() {
	if w.sst == nil {
		return
	}
	// pebble's writer runs a goroutine that only Close ends; it writes to
	// memory that is dropped, so its error says nothing.
	_ = w.sst.Close()
	w.sst = nil
	w.file.data = nil
}

// Close finishes the table and hands its file over to the caller. The writer
// can then only be Reset.
func (w *Writer) Close() (Table, error) {
	// The ID covers the properties as they are before the table's description
	// joins them.
	w.toID = ident.AppendStringMap(w.toID, w.props)
	w.id.Write(w.toID)
	meta := partition.RangeMetadata{
		ID:            hex.EncodeToString(w.id.Sum(nil)),
		MinKey:        string(w.first),
		MaxKey:        string(w.last),
		Count:         w.count,
		EstimatedSize: w.EstimatedSize(),
	}
	maps.Copy(w.props, describe(meta))
	err := w.sst.Close()
	data := w.file.data
	w.sst, w.file.data = nil, nil
	if err != nil {
		return Table{}, fmt.Errorf("close table of keys %q to %q: %w", w.first, w.last, err)
	}
	return Table{Meta: meta, Data: data}, nil
}

// appendHashInput appends what b, a key or a value, adds to the hash of an ID.
func appendHashInput(dst, b []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	return append(append(dst, b...), '|')
}

// describe returns the properties that tell what a table holds.
func describe(m partition.RangeMetadata) map[string]string {
	return map[string]string{
		propMinKey:        m.MinKey,
		propMaxKey:        m.MaxKey,
		propCount:         strconv.FormatInt(m.Count, 10),
		propEstimatedSize: strconv.FormatUint(m.EstimatedSize, 10),
	}
}

// properties is a collector that adds itself to a table's properties when the
// table is closed.
type properties map[string]string

var _ sstable.TablePropertyCollector = properties{}

func (properties) Add(sstable.InternalKey, []byte) error { return nil }

func (properties) Name() string { return "static" } // stored in the file: the name that lakeFS gives its own

func (p properties) Finish(to map[string]string) error {
	maps.Copy(to, p)
	return nil
}
