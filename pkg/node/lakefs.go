package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/server"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// lakeFS is what a coordinator uses of a lakeFS server. All is nil if repositories are in the
// catalog.
type lakeFS struct {
	account *lakefs.Session // of the service account
	gate    *lakefs.Gate    // asks about callers
	proxy   *server.ProxyConfig
}

func (b *base) lakeFS(memory *server.Budget) (l lakeFS, err error) {
	if b.Settings.Catalog.Kind != settings.CatalogLakeFS {
		return l, nil
	}
	s := b.Settings.LakeFS
	transport := connect.LakeFS()
	config := lakefs.Config{URL: s.URL, Transport: transport, Registerer: b.metrics}
	if l.account, err = lakefs.Open(config, lakefs.Keys(s.AccessKeyID, s.SecretAccessKey.Reveal())); err != nil {
		return l, err
	}
	l.gate = lakefs.NewGate(l.account, time.Now)
	if s.Proxy {
		target, err := url.Parse(strings.TrimSuffix(strings.TrimSuffix(s.URL, "/"), api.BaseURL))
		if err != nil {
			return l, fmt.Errorf("lakefs.url: %w", err)
		}
		l.proxy = &server.ProxyConfig{Target: target, Transport: transport, ID: rand.Text(), HandBack: s.HandBack, OtherSources: s.OtherSources == settings.SourcesHandOn, Memory: memory, Log: b.Log, Registerer: b.metrics}
	}
	return l, nil
}

// repository returns what finds repositories: the server, or else the catalog.
func (l lakeFS) repository(catalogs finder) finder {
	if l.account == nil {
		return catalogs
	}
	return func(ctx context.Context, id string) (catalog.Repository, error) {
		r, err := l.account.Repository(ctx, id)
		return catalog.Repository{ID: r.ID, StorageNamespace: r.StorageNamespace}, lakefs.Fault(err)
	}
}

// finder finds a repository. The error is a fault.NotFound if there is none.
type finder = func(ctx context.Context, id string) (catalog.Repository, error)

// wrap returns the handler of requests: h, behind a proxy if there is one. It calls stop if
// the proxy leads back to this process, which it finds out in the background.
func (l lakeFS) wrap(ctx context.Context, h http.Handler, stop func(error)) http.Handler {
	if l.proxy == nil {
		return h
	}
	go func() {
		if err := server.CheckLoop(ctx, *l.proxy); err != nil {
			stop(err)
		}
	}()
	return server.NewProxy(*l.proxy, h)
}

// grants returns what judges callers: the rules. On a lakeFS server, that server judges all but
// sources, and also these if there is no file of rules.
func (l lakeFS) grants(r *rules) server.Grants {
	switch {
	case l.account == nil:
		return r.grants
	case r.path == "":
		return nil
	}
	return func(ctx context.Context, c access.Caller) (access.Grants, error) {
		groups, err := lakefs.GroupsOf(ctx, l.account, c.User)
		switch {
		case lakefs.IsRefused(err) && !lakefs.IsLoginRefused(err): // without groups, a deny of one would not hold
			return access.Grants{}, fault.Unavailable("", "the service account may not read the groups of users on the lakeFS server: with access.file it needs auth:ReadUser")
		case err != nil:
			return access.Grants{}, lakefs.AccountFault(err)
		}
		c.Groups = groups
		return r.grants(ctx, c)
	}
}

// mayImport returns what checks again that callers may import. A lakeFS server is asked about its
// users elsewhere: the rules judge sources alone, and nothing if there is no file of them.
func (l lakeFS) mayImport(r *rules, a *auth.Authenticator) coordinator.MayImport {
	grants := l.grants(r)
	switch {
	case l.account == nil:
		return r.mayImport(a.Stands)
	case grants == nil:
		return nil
	}
	return func(ctx context.Context, c access.Caller, asked access.Request) error {
		g, err := grants(ctx, c)
		if err != nil {
			return err
		}
		return g.Check(access.NeedOfSources(asked))
	}
}

// newBranch returns a name for a hidden branch, which nobody can guess.
func newBranch() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "rf-" + hex.EncodeToString(b[:])
}
