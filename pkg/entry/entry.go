// Package entry defines entries and Arrow record batches of them, sorted by key. Batches
// are the unit that flows from a source to the range writer.
//
// An entry is the metadata of one object under its destination key. Keys are
// opaque, valid UTF-8, not empty, and ordered bytewise.
package entry

import (
	"time"

	"github.com/apache/arrow/go/v15/arrow"
)

// Entry is one object's metadata in a convenient form, for tests and for code that is not
// on the hot path.
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
