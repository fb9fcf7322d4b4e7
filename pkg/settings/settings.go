// Package settings reads the configuration of a process from flags, environment variables
// and a YAML file. Every key is declared once, in the table of keys.go; its flag, its
// variable, its place in the file and in the printed configuration, and its documentation
// in docs/settings.md are derived from that.
//
// A flag overrides the environment, which overrides the file, which overrides the default.
package settings

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Process says whose settings are meant. All processes read the same file and environment;
// each uses some of the keys, and has flags for those.
type Process int

// The processes that have settings.
const (
	Coordinator Process = 1 << iota
	Worker
)

// Settings are the settings of one process. Load returns valid ones; they do not change
// afterwards.
type Settings struct {
	Fleet      string // its name in metrics and logs
	Listen     string // host:port of the API
	HTTP       HTTP
	NATS       NATS
	Workers    int // partitions at a time in this process
	S3         S3
	Local      Local
	Catalog    Catalog
	LakeFS     LakeFS
	Sources    Sources
	STS        STS
	Namespaces Namespaces
	Imports    Imports
	Ranges     partition.Breaks
	Auth       Auth
	Access     Access
	Audit      Audit
	Log        Log
	Metrics    Metrics

	file string // that was read; "": none

	// origins says, by key, where a value was set: "flag --a.b", "environment RANGEFLEET_A_B",
	// or "file PATH:LINE". Keys with default values are missing.
	origins map[string]string
}

// File returns the path of the file that the settings were read from; "" if there is none.
func (s Settings) File() string { return s.file }

// RereadsFiles reports whether a coordinator reads or opens files again at SIGHUP, so that this
// signal does not end it.
func (s Settings) RereadsFiles() bool {
	return s.Access.File != "" || s.HTTP.CertFile != "" || s.Audit.Path() != ""
}

// Kinds of catalogs.
const (
	catalogOwn    = "own"    // in the fleet's NATS
	CatalogLakeFS = "lakefs" // on a lakeFS server
)

// Catalog says where repositories, branches and commits are kept.
type Catalog struct {
	Kind string // catalogOwn or CatalogLakeFS
}

// LakeFS is the lakeFS server that keeps them if the kind is CatalogLakeFS, and the service
// account there.
type LakeFS struct {
	URL               string // http or https, without a login
	AccessKeyID       string
	SecretAccessKey   Secret
	PrecommitHooks    string // hooksRefuse or HooksSkip
	ProtectedBranches string // protectedRefuse or ProtectedStore
	OtherSources      string // sourcesRefuse or SourcesHandOn
	Proxy             bool   // hand all requests but those about imports to the server
	HandBack          bool   // with Proxy: new imports, too
}

// What an import does on a branch with pre-commit hooks.
const (
	hooksRefuse = "refuse"
	HooksSkip   = "skip"
)

// What an import does if its hidden branch is protected.
const (
	protectedRefuse = "refuse"
	ProtectedStore  = "store"
)

// What happens to an import from a source that is neither s3:// nor local://.
const (
	sourcesRefuse = "refuse"
	SourcesHandOn = "hand_on"
)

// NATS says which NATS server holds the state of the fleet.
type NATS struct {
	URL      string        // of a server or cluster; "": one embedded in the coordinator
	Listen   string        // host:port at which the embedded server accepts workers on other machines; "": none
	StoreDir string        // absolute path of the embedded server's data
	Replicas int           // of each stream and bucket
	AckWait  time.Duration // without a heartbeat of its worker, before a partition is given to another worker
	LeaseTTL time.Duration // without a heartbeat of its coordinator, before an import is taken over by another one

	// The credentials of a process at the server at URL. The embedded server demands them
	// of clients that connect to Listen.
	User         string
	Password     Secret
	NKeySeedFile string   // path of an nkey's seed
	NKeys        []string // further public nkeys of workers that the embedded server accepts
	// CoordinatorNKeys are those of other coordinators.
	CoordinatorNKeys []string
	CredsFile        string // path of a JWT with its seed, for the server at URL

	// Paths of PEM files: of a client of the server at URL, or of the embedded server.
	CAFile, CertFile, KeyFile string

	Insecure bool // the embedded server demands no credentials
}

// ShownURL is the URL without the user and password, or token, that it may hold.
func (n NATS) ShownURL() string { return hideUser(n.URL) }

// S3 says how objects in S3 are reached.
type S3 struct {
	Endpoint        string // URL; "": AWS
	Proxy           string // URL; "": none
	Region          string
	ForcePathStyle  bool   // http://host/bucket/key instead of http://bucket.host/key
	AccessKeyID     string // "": the SDK's default chain
	SecretAccessKey Secret
	Listing         string // "auto", or the objectstore.Mode of all buckets
	Order           string // "sorted" (by the bytes of keys) or "none": how the store lists
	PageKeys        int    // keys that a LIST call asks for, 1 to 1000
	PutChecksums    bool   // objects are stored with x-amz-checksum-sha256
	MaxLists        int    // LIST calls that a process has in flight at most
	FleetLists      int    // LIST calls that all processes together have in flight at most; 0: no bound
}

// Local says which directories local:// may read and write.
type Local struct {
	Allowed []string // absolute paths
}

// Sources says what may be imported.
type Sources struct {
	Allow []string // prefixes of URIs; empty: all that can be read
	Roles []Role
}

// Role is a role that is assumed to read a source.
type Role struct {
	Source      string `json:"source" yaml:"source"` // URI of a bucket, or of a prefix that ends in '/'
	ARN         string `json:"role_arn" yaml:"role_arn"`
	ExternalID  string `json:"external_id,omitempty" yaml:"external_id,omitempty"`   // "": the role demands none
	SessionName string `json:"session_name,omitempty" yaml:"session_name,omitempty"` // "": "rangefleet"
}

// STS says where roles are assumed.
type STS struct {
	Endpoint string // URL; "": AWS
}

// Namespaces says where repositories may have their storage namespaces.
type Namespaces struct {
	Allow []string // prefixes of URIs; empty: where no source may be
}

// Imports says how objects are imported.
type Imports struct {
	Markers string // "skip" or "fail": see package imports
}

// HTTP says how clients reach the API.
type HTTP struct {
	PublicURL      string   // http or https, without a path; "": that of the listener
	TrustedProxies []string // addresses and networks, as parseNetwork reads them
	CertFile       string   // PEM; "": without TLS
	KeyFile        string   // PEM
}

// Auth is what proves who a caller is.
type Auth struct {
	AccessKeyID     string // of the first administrator; "": a pair is made at the first start
	SecretAccessKey Secret
	JWT             JWT
	OIDC            OIDC
	SAML            SAML
}

// JWT is an outside issuer whose tokens the API accepts.
type JWT struct {
	Issuer   string // "": there is none
	Audience string
	JWKS     string // https URL or path of its public keys
}

// OIDC is an OpenID Connect provider at which browsers log in.
type OIDC struct {
	Issuer       string // URL; "": there is none
	ClientID     string
	ClientSecret Secret   // "": the client is a public one
	Scopes       []string // besides openid
	// RequiredClaims are claims that users need to log in, as NAME=VALUE. Of several values of a
	// claim one suffices.
	RequiredClaims []string
}

// SAML is an identity provider at which browsers log in.
type SAML struct {
	MetadataFile  string // of the provider; "": there is none
	EntityID      string // of the coordinators; "": the URL of their metadata
	UserAttribute string // "": the NameID names users
	// RequiredAttributes are like OIDC.RequiredClaims.
	RequiredAttributes []string
}

// Access says who may do what.
type Access struct {
	File string // of rules, as docs/access.md describes it; "": what is built in
}

// Where the audit log is, if it is no file.
const (
	auditAuto   = "auto"
	auditStderr = "stderr"
	auditOff    = "off"
)

// Audit says where it is recorded who does what.
type Audit struct {
	Log string // auditAuto, auditStderr, auditOff, or the absolute path of a file
}

// Path returns the path of the audit log's file, "" if it is none.
func (a Audit) Path() string {
	if filepath.IsAbs(a.Log) {
		return a.Log
	}
	return ""
}

// Stderr reports whether the audit log is written to standard error, which may be a terminal.
func (a Audit) Stderr(isTerminal bool) bool {
	return a.Log == auditStderr || a.Log == auditAuto && !isTerminal
}

// Networks returns the trusted proxies.
func (h HTTP) Networks() ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(h.TrustedProxies))
	for _, text := range h.TrustedProxies {
		n, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("http.trusted_proxies: %w", err)
		}
		networks = append(networks, n)
	}
	return networks, nil
}

// parseNetwork reads an address, or a network such as 10.0.0.0/8.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	if err != nil {
		return n, fmt.Errorf("%q is neither an address nor a network", text)
	}
	return n.Masked(), nil
}

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // "auto" (text on a terminal, else JSON), "text" or "json"
}

// Metrics says where a worker shows its metrics. The coordinator's are a path
// of its API.
type Metrics struct {
	Listen string // host:port; "": nowhere
}
