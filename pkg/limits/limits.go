// Package limits defines the limits of requests to the API: the sizes of fields, pages and
// bodies, and how much a process does for requests at a time. What exceeds a limit is
// refused before anything is stored or listed, with an error that names the field and the
// limit.
package limits

import "github.com/rangefleet/rangefleet/pkg/fault"

// Limits of the fields of a request.
const (
	// Key is the length in bytes of the longest key on a branch and in S3, destination, and
	// query parameter. S3 and lakeFS have the same limit.
	Key = 1024
	// URI is the length in bytes of the longest URI of a source. Local paths may be longer
	// than keys.
	URI = 4096
	// Namespace is the length in bytes of the longest storage namespace. With the name of a
	// range or metarange appended, it must be a valid key.
	Namespace = 900
	// Message is the length in bytes of the longest commit message.
	Message = 16 << 10
	// Metadata is the size in bytes of all names and values of a commit's metadata.
	Metadata = 64 << 10
	// Paths is the number of paths of an import. Each worker lists all of them.
	Paths = 1000
	// OpenPaths is the number of paths of an import whose destinations overlap at one key.
	// A worker has a page of each in memory at the same time.
	OpenPaths = 64
	// Ranges is the number of ranges of a request to create a metarange.
	Ranges = 100_000
	// RangesTime is the time in seconds within which they are compared with their files. It
	// leaves some of the five minutes of a request to store the metarange.
	RangesTime = 270
	// ContinuationTime is the time in seconds for which the continuation token of a range is
	// valid.
	ContinuationTime = 3600
)

// Limits of names and of the file that says who may do what.
const (
	// Name is the length in bytes of the longest name of a user, group or policy.
	Name = 128
	// Issuer is the length in bytes of the longest issuer of an identity provider.
	Issuer = 256
	// AccessFile is the size in bytes of the file.
	AccessFile = 1 << 20
	// AccessItems is the number of policies in the file, and of groups, users and mappings.
	AccessItems = 10_000
	// Statements is the number of statements of a policy, and of actions and resources of a
	// statement.
	Statements = 1000
	// Pattern is the length in bytes of the longest action or resource of a statement.
	Pattern = 2048
)

// Limits of what proves who a caller is.
const (
	// Users is the number of users. Calls that create users at the same time may exceed it by
	// their number.
	Users = 10_000
	// AccessKeys is the number of access keys of a user.
	AccessKeys = 10
	// Sessions is the number of sessions of a user. A further one ends the oldest.
	Sessions = 100
	// Token is the size in bytes of the longest JSON Web Token. One that names 200 groups by
	// UUIDs has 11 KiB.
	Token = 16 << 10
	// LoginCode is the length in bytes of the longest code that an identity provider gives a
	// browser for a login.
	LoginCode = 4 << 10
	// KeySet is the size in bytes of the public keys of an issuer of tokens.
	KeySet = 256 << 10
	// SAMLResponse is the size in bytes of the longest response of a SAML identity provider.
	SAMLResponse = 256 << 10
)

// Limits of trials of sources.
const (
	Trials     = 2       // at a time in a process
	TrialLists = 300     // LIST calls of a trial
	TrialKeys  = 50_000  // that a trial walks
	TrialBytes = 8 << 20 // of these keys together
	TrialTime  = 45      // seconds
)

// Limits of pages.
const (
	// Results is the number of results of a page.
	Results = 1000
	// LogWalk is the number of commits that are read for a page of commits.
	LogWalk = 10_000
	// LogPaths is the number of objects, and of prefixes, by which a request for commits chooses
	// them. Ten times as many would not fit into the header of a request.
	LogPaths = 100
	// LogPage is the size in bytes of the messages and metadata of a page of
	// commits. The page ends with the commit that reaches it.
	LogPage = 1 << 20
)

// Limits of requests in bytes.
const (
	// Header is the size of the first line and the header. A key of 1,024 bytes takes 3,072 in a
	// query.
	Header        = 64 << 10
	AnonymousBody = 64 << 10 // of a request without valid credentials
	Body          = 1 << 20
	RangesBody    = 16 << 20 // of a request to create a metarange
)

// TableCache is the size in bytes of the cache of ranges and metaranges, for lookups in
// trees.
const TableCache = 32 << 20

// Comparisons is the size in bytes of the files that all landings of imports have in memory
// to compare them beside one another. Each landing may have one more file of each tree.
const Comparisons = 32 << 20

// Limits of what a coordinator keeps of the progress of an import.
const (
	// Listing is the number of partitions that are listed at a time. Each takes the ends of a
	// span: two keys.
	Listing = 4096
	// Waiting is the number of partitions that wait for a worker.
	Waiting = 65536
)

// Limits of what a process does at a time.
const (
	// Transfers is the number of objects whose content is answered at a time.
	Transfers = 8
	// RangeFiles is the number of files of ranges that all requests to create a metarange
	// read at a time. Each takes two short reads.
	RangeFiles = 128
	// Verifications is the number of trees whose files are verified at a time.
	Verifications = 2
	// ContentPart is the size in bytes of the parts in which the content of an object is
	// read. A transfer has two in memory at most.
	ContentPart = 2 << 20
	// Scrapes is the number of answers with metrics that are made or sent at a time. Each may
	// have some 100 KiB of its own.
	Scrapes = 32
	// Connections is the number of open connections of a server. If there are more, those
	// that have been idle longest are closed.
	Connections = 1024
	// BrowserLogins is the number of requests of logins that may wait for an OpenID Connect
	// provider at a time.
	BrowserLogins = 32
	// Requests is the number of requests that are served at a time. It is less than
	// Connections, so that some connections are always idle. Health checks do not count, nor
	// do requests that wait for an answer which another request makes.
	Requests = 256
	// Proxied is the number of requests that are being handed to a lakeFS server at a time.
	Proxied = 512
	// AnonymousRequests is the number of bodies of requests without valid credentials that
	// are read at a time. Further ones are not read.
	AnonymousRequests = 64
	// AnonymousShare is how many of these one address may send at a time.
	AnonymousShare = 8
)

// Rates of requests a second, and how many may come at once.
const (
	// FailedLogins is the rate of requests of one address that prove no user. Further ones are
	// answered with 429. So are, meanwhile, access keys that were not used lately.
	FailedLogins      = 20
	FailedLoginsBurst = 200
	// LingeringRefusals is the number of these answers that are held back for a moment at a time.
	LingeringRefusals = 512
	// Changes is the rate of requests of one user that may change something.
	Changes      = 500
	ChangesBurst = 5000
)

// RequestMemory is the memory in bytes that all requests together may use, as estimated
// before their bodies are read.
const RequestMemory = 64 << 20

// Bytes returns a fault if the text of a field is longer than most bytes.
func Bytes(field, text string, most int) error {
	if len(text) > most {
		return fault.BadField(field, "%d bytes, at most %d are allowed", len(text), most)
	}
	return nil
}

// Count returns a fault if a field has more than most elements.
func Count(field string, n, most int) error {
	if n > most {
		return fault.BadField(field, "%d elements, at most %d are allowed", n, most)
	}
	return nil
}
