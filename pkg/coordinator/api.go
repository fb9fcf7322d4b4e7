package coordinator

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Start is a request to import paths into a branch.
type Start struct {
	Request imports.Request
	Paths   []imports.Path
}

// Status is how far an import is.
type Status struct {
	ID         string
	Record     imports.Record
	Objects    int64           // distinct keys covered so far; never falls
	Ranges     int             // ranges covered so far
	Partitions int             // partitions queued or running
	Updated    time.Time       // now while the import runs; else when it ended
	Commit     *catalog.Commit // set exactly if it is completed
}

// Ingest asks for one range of a source's keys.
type Ingest struct {
	FromSourceURI string // a prefix, as objectstore.ParseURI reads it
	After         string // only source keys after this one, which may lie anywhere
	Prepend       string // destination
}

// Ingested is one range, and where the next one starts.
type Ingested struct {
	Range   *partition.RangeMetadata // nil if no key was left
	HasMore bool
	LastKey string // the last source key of the range: the After of the next one
}
