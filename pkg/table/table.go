// Package table writes and reads the files of ranges and metaranges: immutable
// SSTables of records sorted by key, named by a hash of their content.
//
// A range holds one record per entry, under its destination key. A metarange
// holds one record per range, under the range's last key. docs/format.md draws
// both byte by byte; files are interchangeable with lakeFS's.
package table

import (
	"crypto/sha256"
	"errors"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Kind says what a table's records are. It is stored in the table, and its ID covers it.
type Kind string

// The kinds of tables.
const (
	Ranges     Kind = "ranges"     // a range: records are entries
	Metaranges Kind = "metaranges" // a metarange: records are ranges
)

// Names of the table properties.
const (
	propType          = "type"                 // the kind
	propMinKey        = "min_key"              // first key
	propMaxKey        = "max_key"              // last key
	propCount         = "count"                // number of records, decimal
	propEstimatedSize = "estimated_size_bytes" // before closing, decimal
)

// ErrCorrupt is wrapped by errors about bytes that are not a table or a value of this
// format, or not the table of an ID. Reading them again does not help: that was tried
// where bytes may have been damaged on their way.
var ErrCorrupt = errors.New("corrupt table")

// Table is a finished table.
type Table struct {
	Meta partition.RangeMetadata // the ID and what the table holds; keys are "" and the count 0 if it holds nothing
	Data []byte                  // the file
	Sum  [sha256.Size]byte       // of Data
}

// Record is one record of a table.
type Record struct{ Key, Value []byte }
