// Package limits is the one place of what a request may say, and of how much the
// process does for requests at a time. Whatever is above a limit is refused at the
// door, before anything is stored or listed, with an error that names the field and
// the limit.
package limits

import "github.com/rangefleet/rangefleet/pkg/fault"

// Limits of what a request says.
const (
	// Key is the longest key of a branch in bytes, and so the longest destination,
	// parameter of a query and key in S3. S3 and lakeFS have the same limit.
	Key = 1024
	// URI is the longest URI of a source in bytes: local paths may be longer than keys.
	URI = 4096
	// Namespace is the longest storage namespace in bytes: the names of ranges and
	// metaranges are appended to it, and together they are a key.
	Namespace = 900
	// Message is the longest message of a commit in bytes.
	Message = 16 << 10
	// Metadata is the size in bytes of all names and values of a commit's metadata.
	Metadata = 64 << 10
	// Paths is the number of paths of an import: each is listed by every worker.
	Paths = 1000
	// OpenPaths is the number of paths of an import whose destinations overlap at
	// one key: a worker has so many pages in memory at a time.
	OpenPaths = 64
	// Ranges is the number of ranges of a request to create a metarange.
	Ranges = 100_000
)

// Limits of trials of sources.
const (
	Trials     = 2       // at a time in a process
	TrialLists = 300     // LIST calls of one
	TrialKeys  = 50_000  // that one walks
	TrialBytes = 8 << 20 // of these keys
	TrialTime  = 45      // seconds that one takes
)

// Limits of pages.
const (
	// Results is the number of results of a page.
	Results = 1000
	// LogPage is the size in bytes of the messages and metadata of a page of
	// commits. The page ends with the commit that reaches it.
	LogPage = 1 << 20
)

// Limits of bodies in bytes.
const (
	AnonymousBody = 64 << 10 // of a caller who shows no credentials
	Body          = 1 << 20
	RangesBody    = 16 << 20 // of a request to create a metarange
)

// TableCache is what is kept in memory of ranges and metaranges for lookups in
// trees, in bytes.
const TableCache = 32 << 20

// Limits of what a process does at a time.
const (
	// Connections is the number of open connections of a server. Of more, those
	// that wait longest are closed.
	Connections = 1024
	// Requests is the number of requests that are served at a time, less than
	// Connections so that there are always some that wait. Health is asked beyond it.
	Requests = 256
	// AnonymousRequests is the number of bodies that are read at a time of callers
	// who show no credentials: those of more are not looked at.
	AnonymousRequests = 64
)

// RequestMemory is what all requests together may hold in bytes, as it is reckoned
// before their bodies are read.
const RequestMemory = 64 << 20

// Limit is one line of the documentation.
type Limit struct {
	Of   string
	Most int
	Unit string
	Then string // what happens above it
}

// All returns every limit in the order in which they are documented.
func All() []Limit {
	const invalid = "400"
	return []Limit{
		{"key of a branch, destination, `prepend`, parameter of a query", Key, "bytes", invalid},
		{"key that an import makes of a destination and a source's key", Key, "bytes", "the import fails and names the key"},
		{"key of an S3 source", Key, "bytes", invalid},
		{"URI of a source, `after` of a range", URI, "bytes", invalid},
		{"storage namespace", Namespace, "bytes", invalid},
		{"message of a commit", Message, "bytes", invalid},
		{"metadata of a commit: all names and values", Metadata, "bytes", invalid},
		{"paths of an import", Paths, "", invalid},
		{"paths of an import whose destinations overlap at one key", OpenPaths, "", invalid},
		{"ranges of a metarange that a request creates", Ranges, "", invalid},
		{"`amount` of results of a page", Results, "", invalid},
		{"page of commits: messages and metadata", LogPage, "bytes", "the page ends, with `has_more`"},
		{"trials of sources at a time", Trials, "", "429"},
		{"LIST calls of a trial", TrialLists, "", "it ends, and says so"},
		{"keys that a trial walks", TrialKeys, "", "it tries these"},
		{"keys that a trial walks, together", TrialBytes, "bytes", "it tries these"},
		{"time of a trial", TrialTime, "seconds", "it ends, and says so"},
		{"body without credentials", AnonymousBody, "bytes", "401"},
		{"body", Body, "bytes", "413"},
		{"memory of all requests together", RequestMemory, "bytes", "the request waits five seconds, then 429 with Retry-After"},
		{"open connections of a process", Connections, "", "the one that has waited longest for a request is closed"},
		{"requests at a time", Requests, "", "429 with Retry-After; `/_health`, `/_ready` and `/metrics` are answered"},
		{"requests at a time without credentials", AnonymousRequests, "", "401, also to those that are malformed"},
		{"body that creates a metarange", RangesBody, "bytes", "413"},
		{"memory for what lookups read of ranges and metaranges", TableCache, "bytes", "what was not used for longest is read again"},
	}
}

// Bytes refuses a field whose text is longer than most bytes.
func Bytes(field, text string, most int) error {
	if len(text) > most {
		return fault.BadField(field, "%d bytes, at most %d are allowed", len(text), most)
	}
	return nil
}

// Count refuses a field with more than most elements.
func Count(field string, n, most int) error {
	if n > most {
		return fault.BadField(field, "%d elements, at most %d are allowed", n, most)
	}
	return nil
}
