// Package server implements the HTTP API of api/openapi.yaml. It authenticates and reads
// requests, calls the import service and the catalog, and answers as clients of lakeFS
// expect. It makes no decisions about imports and has no state that outlives a request.
package server

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/audit"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// Service is what the server needs of the import service. Its methods may be called
// concurrently. Errors that are not faults are taken to be temporary.
type Service interface {
	// Start stores an import durably before it returns its ID. It returns fault.NotFound
	// if the repository or branch does not exist.
	Start(ctx context.Context, s coordinator.Start) (id string, err error)
	// Status returns the progress of an import of the repository, or fault.NotFound.
	Status(ctx context.Context, repository, id string) (coordinator.Status, error)
	// Cancel ends an import. It returns fault.Conflict if the import is completed or is
	// being committed, nil if it failed or was canceled before.
	Cancel(ctx context.Context, repository, id string) error
	IngestRange(ctx context.Context, repository string, r coordinator.Ingest) (coordinator.Ingested, error)
	CreateMetarange(ctx context.Context, repository string, ranges []partition.RangeMetadata) (id string, err error)
	// CheckNamespace returns an error if nothing can be stored in a storage namespace, and
	// fault.Later if that cannot be checked now.
	CheckNamespace(ctx context.Context, namespace string) error
	// DeleteRepository returns fault.Conflict while imports into the repository are running.
	DeleteRepository(ctx context.Context, id string) error
	// TrySource tests how a source is listed; seed 0 means a random one. It returns
	// fault.Busy if too many sources are being tested.
	TrySource(ctx context.Context, source string, seed uint64) (coordinator.Tried, error)
	// DeleteBranch returns fault.Conflict while imports into the branch are running, and
	// fault.Forbidden for the default branch.
	DeleteBranch(ctx context.Context, user, repository, branch string) error
	// ResetBranch makes the commit that ref points at the head of a branch.
	ResetBranch(ctx context.Context, user, repository, branch, ref string) error
	// Revert adds a commit to a branch that undoes the changes of another commit. It
	// returns fault.Conflict if later commits changed the same keys.
	Revert(ctx context.Context, r coordinator.Revert) (catalog.Commit, error)
	// Tree opens the tree of the commit that ref points at.
	Tree(ctx context.Context, repository, ref string) (*metarange.Tree, error)
	// Content returns what reads the object of an entry of the repository, or
	// fault.Forbidden if the object may not be read.
	Content(ctx context.Context, repository string, e entry.Entry) (coordinator.Parts, error)
}

// Catalog is what the server needs of *catalog.Catalog.
type Catalog interface {
	CheckRepository(ctx context.Context, r catalog.Repository) error
	CreateRepository(ctx context.Context, r catalog.Repository) (catalog.Repository, error)
	Repository(ctx context.Context, id string) (catalog.Repository, error)
	EditMetadata(ctx context.Context, id string, remove []string, add map[string]string) error
	Repositories(ctx context.Context, q catalog.RepositoryQuery) (page []catalog.Repository, more bool, err error)
	Branch(ctx context.Context, repository, name string) (catalog.Branch, error)
	Resolve(ctx context.Context, repository, ref string) (catalog.Commit, error)
	Log(ctx context.Context, repository string, q catalog.LogQuery) (catalog.LogPage, error)
}

// Branches is what the server needs of catalog.Branches.
type Branches interface {
	List(ctx context.Context, repository, prefix, after string, amount int) (page []catalog.Branch, more bool, err error)
	ListAll(ctx context.Context, repository, prefix, after string, amount int) (page []catalog.Branch, more bool, err error)
	Create(ctx context.Context, repository, name, source string) (catalog.Branch, error)
	CreateHidden(ctx context.Context, repository, name, source string) (catalog.Branch, error)
}

// Differ is what the server needs of coordinator.Differ.
type Differ interface {
	// Diff opens the trees of two refs, and with threeDot that of their last common commit.
	Diff(ctx context.Context, repository, left, right string, threeDot bool) (metarange.Diff, error)
	// Touching returns a function that reports whether a commit changes one of the paths.
	Touching(ctx context.Context, repository string, p coordinator.Paths) (func(context.Context, catalog.Commit) (bool, error), error)
}

// Tags is what the server needs of catalog.Tags.
type Tags interface {
	Create(ctx context.Context, repository, name, ref string) (catalog.Tag, error)
	Get(ctx context.Context, repository, name string) (catalog.Tag, error)
	List(ctx context.Context, repository, prefix, after string, amount int) (page []catalog.Tag, more bool, err error)
	Delete(ctx context.Context, repository, name string) error
}

// Imports is what the server needs of *imports.Store.
type Imports interface {
	Newest(ctx context.Context, after string) iter.Seq2[imports.Record, error]
}

// Grants returns what a caller may do. An error that is no fault says that this cannot be
// found out now. It may be called concurrently.
type Grants func(ctx context.Context, c access.Caller) (access.Grants, error)

// Config is what a server is made of. Every field but Gate, Grants, OIDC, Proxies, PublicURL, SAML,
// Storage and Traces is required.
type Config struct {
	Service      Service
	Catalog      Catalog
	Branches     Branches
	Tags         Tags
	Editor       Editor
	Imports      Imports
	Differ       Differ
	Inspector    Inspector
	Dumper       Dumper
	Users        Users
	AccessKeys   AccessKeys
	UserSessions UserSessions
	Rules        func() *access.Rules            // in force, as clients see them
	Auth         Authenticator                   // nil with Gate
	OIDC         OIDC                            // nil, as with Gate: no such logins
	Gate         *lakefs.Gate                    // of the lakeFS server that knows callers and keeps repositories; nil: Auth and Catalog do
	Grants       Grants                          // nil: nobody may do anything; with Gate: that server decides alone
	Ready        func(ctx context.Context) error // returns nil if requests can be served
	Metrics      http.Handler                    // answers /metrics
	Registerer   prometheus.Registerer
	Log          *slog.Logger
	Audit        func(audit.Event)    // is told who does what
	Storage      Storage              // told to clients
	Sealer       *auth.Sealer         // of continuation tokens
	Proxies      Proxies              // default none
	PublicURL    string               // at which browsers reach the server; "": at its address
	SAML         SAML                 // logins of browsers; nil: there are none
	Memory       *Budget              // of requests
	NewRequestID func() string        // unique
	Traces       trace.TracerProvider // of requests that start imports; nil: none
	Now          func() time.Time
}

// requestTimeout is how long a slow operation may take: writing a range of a slow store takes
// longest. Other operations have api.AnswerWithin.
const requestTimeout = 5 * time.Minute

// handlers implements the operations of the API. Each is a method that passes what it does,
// and what it reads, to serve or serveList.
type handlers struct {
	*receiver
	service  Service
	catalog  Catalog
	branches Branches
	tags     Tags
	editor   Editor
	imports  Imports
	differ   Differ
	inspect  Inspector
	dumper   Dumper
	users    Users
	keys     AccessKeys
	sessions UserSessions
	rules    func() *access.Rules
	sealer   *auth.Sealer
	storage  api.StorageConfig
	gate     *lakefs.Gate // nil if repositories are in the catalog
	statuses *shared[importKey, importStatus]
	links    []loginLink // to logins of browsers
	oidc     *oidcLogins // nil: there is no such provider

	tracer        trace.Tracer
	now           func() time.Time
	transfers     slots // of the content of objects
	verifications slots // of trees
}

var _ api.ServerInterface = (*handlers)(nil)

// New returns the handler of the API, of /_health, /_ready and /metrics. It
// registers its metrics with c.Registerer, once.
func New(c Config) http.Handler {
	mux, receiver := http.NewServeMux(), newReceiver(c)
	h := &handlers{
		receiver: receiver, service: c.Service, catalog: c.Catalog, branches: c.Branches, tags: c.Tags, editor: c.Editor, differ: c.Differ, imports: c.Imports,
		inspect: c.Inspector, dumper: c.Dumper, users: c.Users, keys: c.AccessKeys, sessions: c.UserSessions, rules: c.Rules, verifications: make(slots, limits.Verifications), sealer: c.Sealer, now: c.Now,
		tracer:  tracing.Tracer(c.Traces),
		storage: c.Storage.config(), gate: c.Gate, transfers: make(slots, limits.Transfers),
	}
	h.statuses, h.links = newShared(h.status), loginLinks(c)
	api.HandlerWithOptions(h, api.StdHTTPServerOptions{
		BaseURL: api.BaseURL, BaseRouter: mux, ErrorHandlerFunc: badParameter,
	})
	receiver.refuseUnsupported(mux)
	mux.HandleFunc("GET /_health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("GET /_ready", readiness(c.Ready))
	mux.Handle("GET /metrics", c.Metrics)
	mux.HandleFunc("/", unrouted(mux))

	routes := http.Handler(mux)
	if c.Gate != nil {
		routes = importsAlone(mux)
	} else {
		mux.HandleFunc("GET /{$}", home{h.receiver, h.links}.page)
		mux.HandleFunc("POST "+logoutPath, h.logout)
		h.oidc = routeOIDC(mux, c, receiver)
		routeSAML(mux, c, receiver)
	}
	routes = sameOrigin(c.PublicURL, receiver.admitted, routes)
	o := newObserver(c)
	return identify(c.NewRequestID, guarded(receiver.https, o.observe(cleanPath(wellFormed(limitConcurrency(limits.Requests, routes))))))
}

func readiness(ready func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			w.Header().Set("Retry-After", retryAfter)
			refuse(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, struct{}{})
	}
}
