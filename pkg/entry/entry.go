// Package entry is the unit that flows from every source to the range writer:
// an Arrow record batch of entries, sorted by key.
//
// An entry is the metadata of one object under its destination key. Keys are
// opaque, valid UTF-8, never empty, and ordered bytewise.
package entry

import (
	"fmt"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Entry is one object's metadata, in the form that is convenient for tests and
// for code that is not on the hot path.
type Entry struct {
	Key     string    // destination key
	Address string    // physical address, a full URI such as s3://bucket/key
	ETag    string    // without quotes
	Size    int64     // bytes
	ModTime time.Time // UTC; nanosecond precision
}

// Columns of Schema, by position.
const (
	colKey = iota
	colAddress
	colETag
	colSize
	colModTime
)

// Schema is the schema of every batch. mod_time counts nanoseconds since the
// Unix epoch, UTC.
var Schema = arrow.NewSchema([]arrow.Field{
	{Name: "key", Type: arrow.BinaryTypes.Binary},
	{Name: "address", Type: arrow.BinaryTypes.Binary},
	{Name: "etag", Type: arrow.BinaryTypes.Binary},
	{Name: "size", Type: arrow.PrimitiveTypes.Int64},
	{Name: "mod_time", Type: &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}},
}, nil)

// Batch is a record batch of Schema without nulls. Within a batch keys are
// strictly increasing. A batch is immutable and may be read concurrently;
// slices that its methods return point into its buffers and live until Release.
type Batch struct {
	rec     arrow.Record
	key     *array.Binary
	address *array.Binary
	etag    *array.Binary
	size    []int64
	modTime []arrow.Timestamp
}

// FromRecord returns rec as a batch, or an error if rec has another schema or
// holds nulls. It takes over the caller's reference to rec.
func FromRecord(rec arrow.Record) (Batch, error) {
	if !rec.Schema().Equal(Schema) {
		return Batch{}, fmt.Errorf("batch has schema %v, want %v", rec.Schema(), Schema)
	}
	for i, col := range rec.Columns() {
		if col.NullN() > 0 {
			return Batch{}, fmt.Errorf("batch column %q holds %d nulls", rec.ColumnName(i), col.NullN())
		}
	}
	return fromRecord(rec), nil
}

func fromRecord(rec arrow.Record) Batch {
	return Batch{
		rec:     rec,
		key:     rec.Column(colKey).(*array.Binary),
		address: rec.Column(colAddress).(*array.Binary),
		etag:    rec.Column(colETag).(*array.Binary),
		size:    rec.Column(colSize).(*array.Int64).Int64Values(),
		modTime: rec.Column(colModTime).(*array.Timestamp).TimestampValues(),
	}
}

// Record returns the Arrow record; the batch keeps its reference.
func (b Batch) Record() arrow.Record { return b.rec }

// Len returns the number of entries. The zero Batch is empty.
func (b Batch) Len() int {
	if b.rec == nil {
		return 0
	}
	return int(b.rec.NumRows())
}

// Key returns the destination key of entry i.
func (b Batch) Key(i int) []byte { return b.key.Value(i) }

// Address returns the physical address of entry i.
func (b Batch) Address(i int) []byte { return b.address.Value(i) }

// ETag returns the ETag of entry i, without quotes.
func (b Batch) ETag(i int) []byte { return b.etag.Value(i) }

// Size returns the size of object i in bytes.
func (b Batch) Size(i int) int64 { return b.size[i] }

// ModTime returns the modification time of object i in nanoseconds since the
// Unix epoch.
func (b Batch) ModTime(i int) int64 { return int64(b.modTime[i]) }

// Entry returns entry i as a value of its own that outlives the batch.
func (b Batch) Entry(i int) Entry {
	return Entry{
		Key:     string(b.Key(i)),
		Address: string(b.Address(i)),
		ETag:    string(b.ETag(i)),
		Size:    b.Size(i),
		ModTime: time.Unix(0, b.ModTime(i)).UTC(),
	}
}

// Slice returns entries [i, j) as a batch that shares the buffers and holds a
// reference of its own.
func (b Batch) Slice(i, j int) Batch { return fromRecord(b.rec.NewSlice(int64(i), int64(j))) }

// Release gives up the reference that the batch holds. The zero Batch needs
// none.
func (b Batch) Release() {
	if b.rec != nil {
		b.rec.Release()
	}
}

// Builder collects entries into batches. It is for one goroutine. The zero
// value is not usable; see NewBuilder.
type Builder struct {
	rb      *array.RecordBuilder
	key     *array.BinaryBuilder
	address *array.BinaryBuilder
	etag    *array.BinaryBuilder
	size    *array.Int64Builder
	modTime *array.TimestampBuilder
}

// NewBuilder returns an empty builder whose buffers come from the Go heap.
func NewBuilder() *Builder {
	rb := array.NewRecordBuilder(memory.DefaultAllocator, Schema)
	return &Builder{
		rb:      rb,
		key:     rb.Field(colKey).(*array.BinaryBuilder),
		address: rb.Field(colAddress).(*array.BinaryBuilder),
		etag:    rb.Field(colETag).(*array.BinaryBuilder),
		size:    rb.Field(colSize).(*array.Int64Builder),
		modTime: rb.Field(colModTime).(*array.TimestampBuilder),
	}
}

// Append adds one entry; it copies its arguments. modTime counts nanoseconds
// since the Unix epoch. The caller keeps keys strictly increasing.
func (b *Builder) Append(key, address, etag []byte, size, modTime int64) {
	b.key.Append(key)
	b.address.Append(address)
	b.etag.Append(etag)
	b.size.Append(size)
	b.modTime.Append(arrow.Timestamp(modTime))
}

// AppendEntry adds e.
func (b *Builder) AppendEntry(e Entry) {
	b.Append([]byte(e.Key), []byte(e.Address), []byte(e.ETag), e.Size, e.ModTime.UnixNano())
}

// Len returns the number of entries appended since the last Batch.
func (b *Builder) Len() int { return b.key.Len() }

// Batch returns what was appended since the last call, and empties the builder.
func (b *Builder) Batch() Batch { return fromRecord(b.rb.NewRecord()) }

// Of returns entries as one batch; they must be sorted by strictly increasing
// key.
func Of(entries ...Entry) Batch {
	b := NewBuilder()
	for _, e := range entries {
		b.AppendEntry(e)
	}
	return b.Batch()
}
