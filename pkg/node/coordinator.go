package node

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/internal/scrape"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/certfile"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/coordinator/edit"
	"github.com/rangefleet/rangefleet/pkg/coordinator/inspect"
	"github.com/rangefleet/rangefleet/pkg/coordinator/refdump"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/server"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

const (
	drainLimit = 10 * time.Second // for running requests when the process is told to stop
	natsCheck  = 2 * time.Second  // between two health checks of the embedded server
	natsWait   = 12 * time.Second // of a call that a request makes: two attempts that fail while a cluster elects a leader, and a third
)

// Coordinator runs a coordinator until ctx ends. It returns an error if only a restart
// helps: if the embedded server can no longer store anything, as on a full disk, or if the
// connection to NATS is not restored.
func Coordinator(ctx context.Context, env Env) error {
	limitMemory(memoryCoordinator)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	metrics := prometheus.NewRegistry() // of what starts before the others
	embedded, err := startNATS(ctx, env, metrics)
	if err != nil {
		return err
	}
	if embedded != nil {
		defer func() {
			if err := embedded.Shutdown(); err != nil {
				env.Log.WarnContext(ctx, "stop the embedded nats server", "err", err)
			}
		}()
		go guard(ctx, embedded, stop)
	}
	b, err := newBase(ctx, env, natsconn.Coordinator, embedded)
	if err != nil {
		return endedBy(ctx, err)
	}
	defer b.close(ctx)
	b.metrics.MustRegister(metrics)
	if err := b.backend.Ensure(ctx); err != nil {
		return endedBy(ctx, err)
	}
	go b.watch(ctx, stop)
	return b.coordinate(ctx, embedded)
}

// coordinate serves the API and drives imports until ctx ends. Embedded is nil where
// NATS runs elsewhere.
func (b *base) coordinate(ctx context.Context, embedded *natsd.Server) error {
	sources, err := parseURIs("sources.allow", b.Settings.Sources.Allow)
	if err != nil {
		return err
	}
	namespaces, err := parseURIs("namespaces.allow", b.Settings.Namespaces.Allow)
	if err != nil {
		return err
	}
	proxies, err := b.Settings.HTTP.Networks()
	if err != nil {
		return err
	}
	door, err := b.openDoor(ctx)
	if err != nil {
		return err
	}
	defer door.Close() //nolint:errcheck // closed by the HTTP server already, if all went well
	sealer, err := auth.OpenSealer(ctx, b.backend.Bucket(kv.BucketAuth))
	if err != nil {
		return endedBy(ctx, err)
	}
	memory := server.NewBudget(b.buffers.Hold)
	lake, err := b.lakeFS(memory)
	if err != nil {
		return err
	}
	auditLog, endAudit, err := b.startAudit(ctx)
	if err != nil {
		return err
	}
	defer endAudit()
	who, err := b.openCallers(ctx, sealer, auditLog)
	if err != nil {
		return endedBy(ctx, err)
	}
	cat, requests := catalog.New(b.backend.Bucket(kv.BucketCatalog)), requestState(b.backend)
	service := coordinator.New(coordinator.Config{
		State: coordinator.State{Backend: b.backend, Imports: b.imports, Catalog: cat}, Requests: requests, Stores: b.stores, Roles: b.stores.Roles(), Trials: b.stores,
		Breaks: b.Settings.Ranges, Allowed: sources, Namespaces: namespaces,
		Markers: imports.Markers(b.Settings.Imports.Markers), LakeFS: lake.account, SkipHooks: b.Settings.LakeFS.PrecommitHooks == settings.HooksSkip,
		Landings:  landing.Config{NewName: newBranch, StoreCommits: b.Settings.LakeFS.ProtectedBranches == settings.ProtectedStore},
		MayImport: lake.mayImport(who.rules, who.auth), Refused: refusals(auditLog), Holder: holder(), Reserved: b.buffers.Hold, Traces: b.traces, Now: time.Now, Log: b.Log, Registerer: b.metrics,
	})
	handler := server.New(server.Config{
		Service: service, Catalog: requests.Catalog, Branches: requests.Catalog.Branches(), Tags: requests.Catalog.Tags(),
		Editor:  edit.New(edit.Config{Catalog: requests.Catalog, Stores: b.stores, Now: time.Now, Log: b.Log}),
		Imports: requests.Imports, Differ: coordinator.DifferOf(service),
		Inspector: inspect.New(inspect.Config{
			Repository: lake.repository(requests.Catalog.Repository), Stores: b.stores, Buckets: b.stores, CheckSource: coordinator.SourceCheck(service),
		}),
		Dumper: refdump.New(refdump.Config{Catalog: requests.Catalog, Stores: b.stores, Log: b.Log}),
		Users:  who.users, AccessKeys: who.users.Keys(), UserSessions: who.users.Sessions(), Rules: who.rules.now.Load,
		Auth: who.auth, OIDC: who.oidc, Gate: lake.gate, Grants: lake.grants(who.rules), Sealer: sealer, Proxies: proxies, PublicURL: b.Settings.HTTP.PublicURL, Ready: func(context.Context) error { return b.backend.Conn.Err() },
		Storage: server.Storage{Sources: sources, Namespaces: namespaces, Local: b.Settings.Local.Allowed},
		Metrics: scrape.New(b.registry, b.Log, nil), Registerer: b.metrics, Log: b.Log, Audit: auditLog.Record,
		SAML: samlOf(who.saml), Memory: memory, NewRequestID: func() string { return xid.New().String() }, Traces: b.traces, Now: time.Now,
	})
	go backend.NewStorageWatch(b.backend, diskLimit(embedded), b.Log, b.metrics).Run(ctx)
	if lake.account != nil {
		go lakefs.Watch(ctx, lake.account)
	}
	go b.sweep(ctx, cat, sweeps(who.auth, who.used))
	info := Info{API: door.url(), AccessKeyID: firstKey(ctx, who.users, who.pair), SecretAccessKey: who.secret}
	if embedded != nil {
		info.NATS = embedded.ClientURL()
	}
	b.announce(info, embedded != nil)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	return endedBy(ctx, b.serve(ctx, service, door, lake.wrap(ctx, handler, stop), info))
}

// diskLimit returns how many bytes the embedded server can store; nil if there is none.
func diskLimit(embedded *natsd.Server) func() int64 {
	if embedded == nil {
		return nil
	}
	return embedded.DiskLimit
}

// guard calls stop once two health checks of the server in a row have failed.
func guard(ctx context.Context, server *natsd.Server, stop context.CancelCauseFunc) {
	tick := time.NewTicker(natsCheck)
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := server.Err()
		if err == nil {
			failures = 0
		} else if failures++; failures == 2 {
			stop(fmt.Errorf("%w: make room and start again", err))
			return
		}
	}
}

// startNATS starts the embedded server, unless there is another one. Its certificate, and the
// authorities of its clients, are those of their files until ctx ends.
func startNATS(ctx context.Context, env Env, metrics prometheus.Registerer) (*natsd.Server, error) {
	s := env.Settings.NATS
	if s.URL != "" {
		return nil, nil
	}
	access := natsd.Access{
		User: s.User, Password: s.Password.Reveal(), NKeys: s.NKeys, SeedFile: s.NKeySeedFile, Coordinators: s.CoordinatorNKeys, Insecure: s.Insecure,
	}
	if s.CertFile != "" {
		pair, err := watched(ctx, certfile.Config{
			CertFile: s.CertFile, KeyFile: s.KeyFile, CAFile: s.CAFile, Now: time.Now, Log: env.Log, Registerer: metrics, Use: "nats",
		})
		if err != nil {
			return nil, fmt.Errorf("nats.cert_file: %w", err)
		}
		access.TLS = pair.TLS()
	}
	return natsd.Start(natsd.Config{StoreDir: s.StoreDir, Listen: s.Listen, Access: access, Log: env.Log})
}

// keys returns the pair of keys for the API, and the secret if the pair is new.
// There is none if callers log in as at a lakeFS server.
func (b *base) keys(ctx context.Context) (auth.Pair, string, error) {
	if b.Settings.Catalog.Kind == settings.CatalogLakeFS {
		return auth.Pair{}, "", nil
	}
	if a := b.Settings.Auth; a.AccessKeyID != "" {
		return auth.NewPair(a.AccessKeyID, a.SecretAccessKey.Reveal()), "", nil
	}
	return auth.Open(ctx, b.backend.Bucket(kv.BucketAuth))
}

// users returns those who may call the API. The pair of keys is one of the administrator's.
// There are none if callers log in at a lakeFS server.
func (b *base) users(ctx context.Context, pair auth.Pair) (*users.Store, error) {
	c := users.Config{Bucket: b.backend.Within(natsWait).Bucket(kv.BucketAuth), Now: time.Now, Busy: b.importers}
	key := users.Secret{AccessKeyID: pair.AccessKeyID, Digest: pair.SecretDigest}
	switch {
	case b.Settings.Catalog.Kind == settings.CatalogLakeFS:
		return users.New(c), nil
	case b.Settings.Auth.AccessKeyID != "": // it is not stored
		c.Configured = &key
		store := users.New(c)
		return store, store.Adopt(ctx, users.Secret{})
	}
	store := users.New(c)
	return store, store.Adopt(ctx, key)
}

// importers returns the users who started an import that has not ended.
func (b *base) importers(ctx context.Context) (map[string]bool, error) {
	all := make(map[string]bool)
	for r, err := range b.imports.Newest(ctx, "") {
		if err != nil {
			return nil, err
		}
		if !r.State.Ended() {
			all[r.Request.StartedBy().User] = true
		}
	}
	return all, nil
}

// firstKey returns the access key of the pair, "" if it was revoked.
func firstKey(ctx context.Context, known *users.Store, pair auth.Pair) string {
	if ok, err := known.Keys().Exists(ctx, access.Admin, pair.AccessKeyID); err == nil && !ok {
		return ""
	}
	return pair.AccessKeyID
}

// requestState reaches what is stored with calls that take at most natsWait each.
func requestState(b *backend.Backend) coordinator.State {
	b = b.Within(natsWait)
	return coordinator.State{
		Backend: b, Imports: imports.NewStore(b.Bucket(kv.BucketImports)), Catalog: catalog.New(b.Bucket(kv.BucketCatalog)),
	}
}

// announce prints the addresses, the directory and the keys.
func (b *base) announce(info Info, embedded bool) {
	say := func(format string, args ...any) { fmt.Fprintf(b.Notices, format+"\n", args...) }
	say("API         %s/api/v1", info.API)
	switch {
	case embedded && info.NATS != "":
		say("NATS        %s (embedded)", info.NATS)
	case embedded:
		say("NATS        embedded, for this process only")
	default:
		say("NATS        %s", b.Settings.NATS.ShownURL())
	}
	if embedded {
		say("data        %s", b.Settings.NATS.StoreDir)
	}
	if b.Settings.Catalog.Kind == settings.CatalogLakeFS {
		say("lakeFS      %s, whose users and repositories are served", b.Settings.LakeFS.URL)
		return
	}
	if info.AccessKeyID != "" {
		say("access key  %s", info.AccessKeyID)
	}
	if info.SecretAccessKey != "" {
		say("secret key  %s", info.SecretAccessKey)
		say("            Keep it: it is not shown again.")
	}
}

// serve runs the API, the service and the workers until ctx ends or the API cannot be
// served. It stops them in order: first requests and workers, then the service that
// requests use.
func (b *base) serve(ctx context.Context, service *coordinator.Service, d door, handler http.Handler, info Info) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	defer stop()
	work.Go(func() { service.Run(serving) })
	if b.Settings.Workers > 0 {
		work.Go(func() { newWorker(b).Run(ctx) })
	}
	return serveHTTP(ctx, server.NewHTTPServer(handler, b.metrics, b.Log), d, func() { b.Started(info) })
}
