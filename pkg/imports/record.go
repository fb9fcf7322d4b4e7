// Package imports is the durable state machine of an import: what was requested, how far
// it is, and how it ended. Transitions are pure functions of a record; a compare-and-swap
// in the state bucket makes each of them happen once.
//
// An import is running, then committing, then completed. A running one may also end as
// failed, canceled or previewed; a committing one as failed, once it is certain that its
// commit is not on the branch and never will be. No import leaves the state that it ended in.
package imports

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// State is how far an import is.
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

// PathType says which objects a path stands for.
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

// Markers says how to treat an object whose key would be empty: the marker of the folder
// that a path imports to the root of the branch.
type Markers string

// How to treat such an object. An unknown value is FailMarkers.
const (
	SkipMarkers Markers = "skip" // it is left out and counted
	FailMarkers Markers = "fail" // the import fails
)

// Job is what a worker needs to know about an import. It does not change once the import
// is planned.
type Job struct {
	ImportID    string           `json:"import_id"`
	Namespace   string           `json:"namespace"`             // the repository's storage namespace, a URI
	Incarnation string           `json:"incarnation,omitempty"` // of the repository: the import does not land in another one of the same ID
	Paths       []Path           `json:"paths"`                 // of equal keys, that of the later path wins
	Breaks      partition.Breaks `json:"breaks"`
	Markers     Markers          `json:"markers,omitempty"`

	// Listing is how the buckets of the paths are listed. It is chosen when the import is
	// planned, before anything is listed.
	Listing objectstore.Listing `json:"listing"`

	// Roles are the ARNs of the roles with which the paths are read, "" for one that is read without
	// a role; nil if all are. They are those of the coordinator that planned the import. A worker
	// whose settings say otherwise must not read the paths.
	Roles []string `json:"roles,omitempty"`
}

// Request is what a caller requested, except the paths. It never changes.
type Request struct {
	Repository string            `json:"repository"`
	Branch     string            `json:"branch"`
	Committer  string            `json:"committer"`
	Message    string            `json:"message"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	AllowEmpty bool              `json:"allow_empty,omitempty"` // a path without objects is no error
	DryRun     bool              `json:"dry_run,omitempty"`     // it ends Previewed, and makes no commit

	// Caller is who requested it, whose user is the committer. Records of versions that had one
	// user do not have it: see StartedBy.
	Caller access.Caller `json:"caller,omitzero"`
}

// StartedBy returns who requested an import. Without a caller in the record it was the
// administrator, whose access key is the committer then.
func (r Request) StartedBy() access.Caller {
	if r.Caller.User == "" {
		return access.Caller{User: access.Admin, Credential: access.Credential{Kind: access.AccessKey, ID: r.Committer}}
	}
	return r.Caller
}

// Attempt is an attempt to land an import: the commit becomes the head of the branch if
// the branch is still at Revision. A revision never returns, but Parent does if the branch
// is reset to it.
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

	// Trace is the place in the import's trace under which all its spans are, whoever drives it;
	// zero if it is not recorded.
	Trace tracing.Place `json:"trace,omitzero"`

	// Partitions is the initial plan; nil before it.
	Partitions []partition.Partition `json:"partitions,omitempty"`

	// Begun is how many steps in a row were begun by processes that ended before the
	// step did. Begin adds one before a step, and any outcome of the step, an error too,
	// resets it to 0.
	Begun int `json:"begun,omitempty"`

	// Skipped is the number of objects that are left out because of Job.Markers; it is
	// known once Partitions is set.
	Skipped int64 `json:"skipped,omitempty"`

	// Driver is the coordinator that drives the import, by the name of its lease; "" if
	// none has yet. A coordinator that finds that it is gone takes its place.
	Driver string `json:"driver,omitempty"`
	// Problem is why the import makes no progress: the error of a step that is retried,
	// or the lack of workers. It is "" once that is over, or the import has ended.
	Problem string `json:"problem,omitempty"`

	Attempt *Attempt `json:"attempt,omitempty"` // set from Committing on
	// Landing is the state of the landing on a lakeFS server; nil before that, and if the
	// import lands on a branch of the catalog.
	Landing *landing.State `json:"landing,omitempty"`
	// Doubted is since when it is not known whether the landing's merge was made; zero if it
	// is known.
	Doubted time.Time `json:"doubted,omitzero"`
	// Changes is how the branch differs, or would differ, from before; set exactly in
	// Completed and Previewed.
	Changes *metarange.Changes `json:"changes,omitempty"`
	Objects int64              `json:"objects"`         // distinct keys covered when it ended
	Error   string             `json:"error,omitempty"` // set exactly in Failed and Canceled
}
