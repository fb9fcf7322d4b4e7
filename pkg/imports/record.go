// Package imports is the durable state of one import: what was asked for, how
// far it is, and how it ended. Its transitions are pure functions of a record;
// a compare-and-swap in the state bucket makes each of them happen once.
//
//	running ──▶ committing ──▶ completed
//	 │ │ │          │
//	 │ │ └────▶ failed
//	 │ └──────▶ canceled
//	 └────────▶ previewed
//
// An import that is committing cannot be canceled, since its commit may be on
// the branch already, and fails only once it is certain that the commit is not
// and never will be; one that ended otherwise never commits.
package imports

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// State is where an import is.
type State string

// The states of an import.
const (
	Running    State = "running"    // partitions are listed
	Committing State = "committing" // every key is covered; the branch is being moved
	Completed  State = "completed"  // the commit is on the branch
	Failed     State = "failed"     // ended by an error; the branch is as it was
	Canceled   State = "canceled"   // ended by the user; the branch is as it was
	Previewed  State = "previewed"  // a dry run: what it would change is known; the branch is as it was
)

// Ended reports whether the state is final.
func (s State) Ended() bool {
	return s == Completed || s == Failed || s == Canceled || s == Previewed
}

// PathType says how the path of a source is read.
type PathType string

// The types of a path, as the API names them.
const (
	CommonPrefix PathType = "common_prefix" // every object whose key starts with the path
	Object       PathType = "object"        // exactly the object that the path names
)

// Path is one source of an import and where its keys go.
type Path struct {
	Type        PathType `json:"type"`
	URI         string   `json:"path"`        // as objectstore.ParseURI reads it
	Destination string   `json:"destination"` // "" is the root of the branch
}

// Markers says what becomes of an object whose key would be empty: the marker of
// the very folder that a path imports to the root of the branch.
type Markers string

// What may become of such an object. An unknown value is FailMarkers.
const (
	SkipMarkers Markers = "skip" // it is left out and counted
	FailMarkers Markers = "fail" // the import fails
)

// Job is what a worker needs to know of an import. It does not change once the import
// is planned.
type Job struct {
	ImportID    string           `json:"import_id"`
	Namespace   string           `json:"namespace"`             // the repository's storage namespace, a URI
	Incarnation string           `json:"incarnation,omitempty"` // of the repository: the import lands in no other that has its ID
	Paths       []Path           `json:"paths"`                 // of equal keys, the later path's wins
	Breaks      partition.Breaks `json:"breaks"`
	Markers     Markers          `json:"markers,omitempty"`

	// Listing is how the paths' buckets are listed. It is chosen when the import is
	// planned, before anything is listed.
	Listing objectstore.Listing `json:"listing"`
}

// Request is what a caller asked for, less the paths. It never changes.
type Request struct {
	Repository string            `json:"repository"`
	Branch     string            `json:"branch"`
	Committer  string            `json:"committer"`
	Message    string            `json:"message"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	AllowEmpty bool              `json:"allow_empty,omitempty"` // a path under which there is nothing is no error
	DryRun     bool              `json:"dry_run,omitempty"`     // it ends Previewed, and makes no commit
}

// Attempt is one try to land an import: the commit that is to become the head
// of the branch, provided that the branch is still at Revision. That never comes again,
// whereas Parent does if the branch is reset to it.
type Attempt struct {
	CommitID    string    `json:"commit_id"`
	MetarangeID string    `json:"metarange_id"`
	Parent      string    `json:"parent"`   // the head at Revision
	Revision    uint64    `json:"revision"` // of the branch
	Created     time.Time `json:"created"`  // whole seconds, UTC
	Objects     int64     `json:"objects"`  // distinct keys of the import
	Ranges      int       `json:"ranges"`   // that the import's keys make

	// Changes is how the commit's tree differs from Parent's.
	Changes metarange.Changes `json:"changes"`
}

// Record is the state of one import as it is stored.
type Record struct {
	Job     Job       `json:"job"`
	Request Request   `json:"request"`
	State   State     `json:"state"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"` // of the last transition

	// Partitions is the first cut; nil until it was made.
	Partitions []partition.Partition `json:"partitions,omitempty"`

	// Begun is how many steps in a row were begun, each by a process that ended
	// before the step did. A step of Begin adds one before it does anything, and
	// whatever comes of it, an error too, makes it 0.
	Begun int `json:"begun,omitempty"`

	// Skipped is the number of objects that the listing leaves out, by Job.Markers;
	// known once Partitions is set.
	Skipped int64 `json:"skipped,omitempty"`

	// Driver is the coordinator that drives the import, by the name of its
	// lease; "" if none has yet. Who finds that it is gone takes its place.
	Driver string `json:"driver,omitempty"`
	// Problem is why the import does not get on: the error of a step that is
	// tried again, or that no worker is there. It is "" once that is over, or the
	// import ended.
	Problem string `json:"problem,omitempty"`

	Attempt *Attempt `json:"attempt,omitempty"` // set from Committing on
	// Changes is how the branch differs, or would, from what it was; set exactly in
	// Completed and Previewed.
	Changes *metarange.Changes `json:"changes,omitempty"`
	Objects int64              `json:"objects"`         // distinct keys covered when it ended
	Error   string             `json:"error,omitempty"` // set exactly in Failed and Canceled
}
