package node

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/audit"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/oidclogin"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/server"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// sweepEvery is the time between two sweeps of sessions and keys of tokens.
const sweepEvery = time.Hour

// authenticator returns what knows callers; nil if a lakeFS server does.
func (b *base) authenticator(ctx context.Context, known *users.Store, sealer *auth.Sealer, r *rules, outside *token.Outside) (*auth.Authenticator, error) {
	if b.Settings.Catalog.Kind == settings.CatalogLakeFS {
		return nil, nil
	}
	tokens, err := token.OpenRing(ctx, b.backend.Within(natsWait).Bucket(kv.BucketAuth), time.Now)
	if err != nil {
		return nil, fmt.Errorf("open the keys of tokens: %w", err)
	}
	return auth.NewAuthenticator(auth.Config{
		Users: known, Tokens: tokens, Outside: outside, Sealer: sealer, Groups: r.mapped, Now: time.Now,
		Required: required(b.Settings.Auth),
	}), nil
}

// required returns the claims that the settings require of users of the providers.
func required(s settings.Auth) map[access.Provider]auth.Required {
	all := map[access.Provider]auth.Required{access.OIDC: {}, access.SAML: {}}
	for provider, claims := range map[access.Provider][]string{access.OIDC: s.OIDC.RequiredClaims, access.SAML: s.SAML.RequiredAttributes} {
		for _, claim := range claims {
			name, value, _ := strings.Cut(claim, "=")
			all[provider][name] = append(all[provider][name], value)
		}
	}
	return all
}

// outsideTokens returns what verifies the tokens of an outside issuer; nil if there is none.
func outsideTokens(j settings.JWT) (*token.Outside, error) {
	if j.Issuer == "" {
		return nil, nil
	}
	o, err := token.NewOutside(token.OutsideConfig{
		Issuer: j.Issuer, Audience: j.Audience, Keys: j.JWKS, Transport: connect.Provider(), Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("auth.jwt: %w", err)
	}
	return o, nil
}

// oidc returns what logs browsers in at an OpenID Connect provider; nil if there is none.
func (b *base) oidc(sealer *auth.Sealer, used *once.Store) (server.OIDC, error) {
	o := b.Settings.Auth.OIDC
	if o.Issuer == "" {
		return nil, nil
	}
	l, err := oidclogin.New(oidclogin.Config{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), Scopes: o.Scopes,
		RedirectURL: b.Settings.HTTP.PublicURL + server.OIDCCallback, Transport: connect.Provider(), Sealer: sealer, Used: used, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("auth.oidc: %w", err)
	}
	return l, nil
}

// sweeps returns what removes sessions and logins that have expired; nothing if a lakeFS server knows
// callers, and a is nil.
func sweeps(a *auth.Authenticator, used *once.Store) []func(context.Context) error {
	if a == nil {
		return nil
	}
	return []func(context.Context) error{a.Sweep, used.Sweep}
}

// sweep removes what interrupted calls left in the catalog, where it is unreachable, and calls the
// others from time to time.
func (b *base) sweep(ctx context.Context, cat *catalog.Catalog, others []func(context.Context) error) {
	if err := cat.Sweep(ctx); err != nil && ctx.Err() == nil {
		b.Log.WarnContext(ctx, "clear up the catalog; the next start tries again", "err", err)
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		for _, sweep := range others {
			if err := sweep(ctx); err != nil && ctx.Err() == nil {
				b.Log.WarnContext(ctx, "clear up users and sessions; the next sweep tries again", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// callers is what knows callers of the API, and what they may do. At a lakeFS server, which knows
// them, only rules is of use.
type callers struct {
	rules  *rules
	used   *once.Store // logins at identity providers that were answered
	oidc   server.OIDC
	saml   *samllogin.Logins
	users  *users.Store
	auth   *auth.Authenticator
	pair   auth.Pair // the first access key
	secret string    // of pair, if the pair is new
}

// openCallers opens what the settings say about callers. The keys come last: after them no wrong
// setting can end the start, so that new ones are shown at this start or never.
func (b *base) openCallers(ctx context.Context, sealer *auth.Sealer, log *audit.Log) (c callers, err error) {
	if c.rules, err = openRules(b.Settings.Access.File, b.metrics, b.Log); err != nil {
		return c, err
	}
	c.rules.audit = log
	c.rules.watch(ctx)
	c.used = once.New(b.backend.Within(natsWait).Bucket(kv.BucketAuth), time.Now)
	if c.oidc, err = b.oidc(sealer, c.used); err != nil {
		return c, err
	}
	if c.saml, err = b.saml(ctx, sealer, c.used); err != nil {
		return c, err
	}
	outside, err := outsideTokens(b.Settings.Auth.JWT)
	if err != nil {
		return c, err
	}
	if c.pair, c.secret, err = b.keys(ctx); err != nil {
		return c, err
	}
	if c.users, err = b.users(ctx, c.pair); err != nil {
		return c, err
	}
	c.auth, err = b.authenticator(ctx, c.users, sealer, c.rules, outside)
	return c, err
}
