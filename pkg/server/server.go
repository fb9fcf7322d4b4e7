// Package server is the HTTP API: it reads requests of api/openapi.yaml, asks
// the import service and the catalog, and answers as clients of lakeFS expect.
// It decides nothing about imports and holds no state.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Service is what the server needs of the import service. Its methods may be
// called concurrently. Errors that are no faults are taken as passing.
type Service interface {
	// Start stores an import durably before it answers its ID. A repository or
	// branch that does not exist is fault.NotFound.
	Start(ctx context.Context, s coordinator.Start) (id string, err error)
	// Status tells how far an import of the repository is, or fault.NotFound.
	Status(ctx context.Context, repository, id string) (coordinator.Status, error)
	// Cancel ends an import; fault.Conflict once it is completed or is being
	// committed, nil if it failed or was canceled.
	Cancel(ctx context.Context, repository, id string) error
	IngestRange(ctx context.Context, repository string, r coordinator.Ingest) (coordinator.Ingested, error)
	CreateMetarange(ctx context.Context, repository string, ranges []partition.RangeMetadata) (id string, err error)
	// CheckNamespace refuses a storage namespace that nothing can be stored in, and
	// tells by fault.Later that this cannot be found out now.
	CheckNamespace(ctx context.Context, namespace string) error
	// DeleteRepository is a fault.Conflict while imports into the repository run.
	DeleteRepository(ctx context.Context, id string) error
	// TrySource tries how a source is listed; seed 0 is any. It is fault.Busy while
	// others are tried.
	TrySource(ctx context.Context, source string, seed uint64) (coordinator.Tried, error)
	// ResetBranch makes the commit that ref points at the head of a branch.
	ResetBranch(ctx context.Context, user, repository, branch, ref string) error
	// Revert commits to a branch what takes back the changes of a commit; fault.Conflict
	// if they were changed since.
	Revert(ctx context.Context, r coordinator.Revert) (catalog.Commit, error)
	// Tree opens the tree that ref, a branch or a commit's ID, stands for.
	Tree(ctx context.Context, repository, ref string) (*metarange.Tree, error)
}

// Catalog is what the server needs of *catalog.Catalog.
type Catalog interface {
	CheckRepository(ctx context.Context, r catalog.Repository) error
	CreateRepository(ctx context.Context, r catalog.Repository) (catalog.Repository, error)
	Repository(ctx context.Context, id string) (catalog.Repository, error)
	Repositories(ctx context.Context, prefix, after string, amount int) (page []catalog.Repository, more bool, err error)
	CreateBranch(ctx context.Context, repository, name, source string) (catalog.Branch, error)
	Branch(ctx context.Context, repository, name string) (catalog.Branch, error)
	Branches(ctx context.Context, repository, prefix, after string, amount int) (page []catalog.Branch, more bool, err error)
	Log(ctx context.Context, repository, ref, after string, amount int) (page []catalog.Commit, more bool, err error)
}

// Config is what a server is made of. Every field without a default is needed.
type Config struct {
	Service      Service
	Catalog      Catalog
	Auth         Authenticator
	Ready        func(ctx context.Context) error // nil error: requests can be served
	Metrics      http.Handler                    // answers /metrics
	Registerer   prometheus.Registerer
	Log          *slog.Logger
	Sealer       *auth.Sealer     // of continuation tokens; default one of its own
	Proxies      Proxies          // default none
	NewRequestID func() string    // unique; default xid
	Now          func() time.Time // default time.Now
}

// requestTimeout bounds the work for one request. The longest is a range of a
// slow store; see brief for what is none.
const requestTimeout = 5 * time.Minute

type handlers struct {
	ready   func(ctx context.Context) error
	service Service
	catalog Catalog
	auth    Authenticator
	brake   *auth.Brake
	sealer  *auth.Sealer
	logins  *prometheus.CounterVec // that failed
	proxies Proxies
	budget  *budget
	nobody  crowd // whose bodies are read, though they show no credentials
	log     *slog.Logger
}

var _ api.ServerInterface = (*handlers)(nil)

// New returns the handler of the API, of /_health, /_ready and /metrics. It
// registers its metrics with c.Registerer, once.
func New(c Config) http.Handler {
	if c.NewRequestID == nil {
		c.NewRequestID = func() string { return xid.New().String() }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sealer == nil {
		c.Sealer = auth.NewSealer()
	}
	mux := http.NewServeMux()
	h := newHandlers(c)
	api.HandlerWithOptions(
		h,
		api.StdHTTPServerOptions{
			BaseURL: api.BaseURL, BaseRouter: mux, ErrorHandlerFunc: badParameter,
			Middlewares: []api.MiddlewareFunc{brief, h.budget.account},
		},
	)
	mux.HandleFunc("GET /_health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("GET /_ready", readiness(c.Ready))
	mux.Handle("GET /metrics", c.Metrics)
	mux.HandleFunc("/", unrouted(mux))

	o := newObserver(c.Registerer, c.Log, c.Now)
	return identify(c.NewRequestID, deadline(requestTimeout, o.observe(straight(wellFormed(admitUpTo(limits.Requests, mux))))))
}

func newHandlers(c Config) *handlers {
	return &handlers{
		ready: c.Ready, service: c.Service, catalog: c.Catalog, log: c.Log,
		auth: c.Auth, brake: auth.NewBrake(c.Now), sealer: c.Sealer, proxies: c.Proxies, nobody: make(crowd, limits.AnonymousRequests), budget: newBudget(limits.RequestMemory),
		logins: metric.With(c.Registerer).CounterVec("http_failed_logins_total",
			"Logins that failed: wrong ones, and those refused unseen as too many of one key and address waited for their answer.",
			metric.By("outcome")),
	}
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
