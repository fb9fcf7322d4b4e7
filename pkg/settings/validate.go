package settings

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/redact"
)

// validate returns everything that is wrong with the settings of a process, joined.
func (s Settings) validate(p Process) error {
	c := check{origins: s.origins}
	c.want(fleetName.MatchString(s.Fleet), "fleet", s.Fleet, "want 1 to 63 letters, digits, '.', '_' and '-', the first of them a letter or a digit")
	s.validateNATS(&c)
	s.validateStores(&c)
	s.validateRanges(&c)
	if p == Worker {
		c.want(s.NATS.URL != "", "nats.url", s.NATS.URL, "a worker needs the NATS server of its fleet")
		c.want(s.Workers >= 1, "workers", s.Workers, "a worker needs at least 1")
		return errors.Join(c.faults...)
	}
	c.want(s.Listen != "", "listen", s.Listen, "want host:port")
	c.both("http.cert_file", s.HTTP.CertFile != "", "http.key_file", s.HTTP.KeyFile != "")
	c.want(s.Workers >= 0, "workers", s.Workers, "want 0 or more")
	c.want(s.Workers != 0 || s.NATS.URL != "" || s.NATS.Listen != "", "workers", s.Workers,
		"without nats.url or nats.listen no other process can do the work")
	c.want(s.NATS.URL != "" || filepath.IsAbs(s.NATS.StoreDir), "nats.store_dir", s.NATS.StoreDir, "want an absolute path")
	c.both("auth.access_key_id", s.Auth.AccessKeyID != "", "auth.secret_access_key", s.Auth.SecretAccessKey.Reveal() != "")
	s.validateLakeFS(&c)
	s.validateHTTP(&c)
	to := s.Audit.Log
	c.want(s.Audit.Path() != "" || slices.Contains([]string{auditAuto, auditStderr, auditOff}, to), "audit.log", to, "want auto, stderr, off, or an absolute path")
	s.validateJWT(&c)
	s.validateOIDC(&c)
	s.validateSAML(&c)
	return errors.Join(c.faults...)
}

func (s Settings) validateHTTP(c *check) {
	if p := s.HTTP.PublicURL; p != "" {
		u, err := url.Parse(p)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && p == u.Scheme+"://"+strings.ToLower(u.Host)
		c.want(ok, "http.public_url", hideUser(p), "want http://host:port or https://host:port, in lower case and without a path")
	}
	for _, text := range s.HTTP.TrustedProxies {
		_, err := parseNetwork(text)
		c.want(err == nil, "http.trusted_proxies", text, "want an address such as 192.0.2.1 or a network such as 192.0.2.0/24")
	}
}

// validateOIDC checks that a provider is named completely, or not at all.
func (s Settings) validateOIDC(c *check) {
	o := s.Auth.OIDC
	if o.Issuer == "" && o.ClientID == "" && o.ClientSecret.Reveal() == "" && len(o.Scopes) == 0 && len(o.RequiredClaims) == 0 {
		return
	}
	c.want(s.Catalog.Kind != CatalogLakeFS, "auth.oidc.issuer", o.Issuer, "want none with catalog.kind lakefs: that server knows the callers")
	c.want(o.Issuer != "", "auth.oidc.issuer", o.Issuer, "want the URL of the provider, exactly as its tokens have it")
	c.want(o.ClientID != "", "auth.oidc.client_id", o.ClientID, "want the ID of a client: without one, tokens for others would be accepted")
	c.want(s.HTTP.PublicURL != "", "http.public_url", s.HTTP.PublicURL, "want the URL to which the provider of auth.oidc.issuer sends browsers back")
	c.claims("auth.oidc.required_claims", o.RequiredClaims)
}

// validateJWT checks that an outside issuer is named completely, or not at all.
func (s Settings) validateJWT(c *check) {
	j := s.Auth.JWT
	if j == (JWT{}) {
		return
	}
	c.want(s.Catalog.Kind != CatalogLakeFS, "auth.jwt.issuer", j.Issuer, "want none with catalog.kind lakefs: that server knows the callers")
	c.want(j.Issuer != "", "auth.jwt.issuer", j.Issuer, "want the issuer of the tokens, exactly as they have it")
	c.want(j.Audience != "", "auth.jwt.audience", j.Audience, "want the audience of the tokens: without one, those for other services would be accepted")
	logins := j.Issuer != "" && j.Issuer == s.Auth.OIDC.Issuer && j.Audience == s.Auth.OIDC.ClientID
	c.want(!logins, "auth.jwt.audience", j.Audience, "want another one than auth.oidc.client_id: the ID tokens of logins would prove their users without a session, and without what auth.oidc.required_claims asks for")
	remote := strings.Contains(j.JWKS, "://")
	c.want(j.JWKS != "", "auth.jwt.jwks", j.JWKS, "want the URL or the file of the issuer's public keys")
	c.want(!remote || hideUser(j.JWKS) == j.JWKS, "auth.jwt.jwks", hideUser(j.JWKS), "want no user in the URL")
}

func (s Settings) validateSAML(c *check) {
	p := s.Auth.SAML
	if p.MetadataFile == "" && p.EntityID == "" && p.UserAttribute == "" && len(p.RequiredAttributes) == 0 {
		return
	}
	c.want(p.MetadataFile != "", "auth.saml.metadata_file", p.MetadataFile, "want the metadata of the identity provider")
	c.want(s.Catalog.Kind != CatalogLakeFS, "auth.saml.metadata_file", p.MetadataFile, "want none with catalog.kind lakefs: that server knows the callers")
	c.want(s.HTTP.PublicURL != "", "http.public_url", s.HTTP.PublicURL, "want the URL to which the identity provider of auth.saml.metadata_file sends browsers")
	c.claims("auth.saml.required_attributes", p.RequiredAttributes)
}

func (s Settings) validateNATS(c *check) {
	n := s.NATS
	c.want(n.URL == "" || n.Listen == "", "nats.listen", n.Listen, "no NATS server is embedded if nats.url is set: set one of them")
	n.validateLogin(c)
	if n.URL == "" {
		c.want(n.Replicas == 1, "nats.replicas", n.Replicas, "want 1 without nats.url: the embedded NATS server is a single server")
	} else {
		c.want(n.Replicas >= 1 && n.Replicas <= 5, "nats.replicas", n.Replicas, "want 1 to 5")
	}
	c.want(n.AckWait >= time.Second, "nats.ack_wait", n.AckWait, "want at least 1s")
	c.want(n.LeaseTTL >= time.Second, "nats.lease_ttl", n.LeaseTTL, "want at least 1s")
}

// validateLogin checks that there is at most one login, and that the embedded server demands
// one unless nats.insecure is set.
func (n NATS) validateLogin(c *check) {
	c.both("nats.user", n.User != "", "nats.password", n.Password.Reveal() != "")
	c.both("nats.cert_file", n.CertFile != "", "nats.key_file", n.KeyFile != "")
	given := map[string]string{"nats.user": n.User, "nats.nkey_seed_file": n.NKeySeedFile, "nats.creds_file": n.CredsFile}
	maps.DeleteFunc(given, func(_, value string) bool { return value == "" })
	logins := slices.Sorted(maps.Keys(given))
	if n.URL != "" && len(logins) > 0 {
		shown := strings.Join(logins, " and ")
		c.want(len(logins) == 1, logins[0], given[logins[0]], "want one login, but "+shown+" are set")
		c.want(n.ShownURL() == n.URL, "nats.url", n.ShownURL(), "want no login in the URL besides "+shown)
	}
	for setting, keys := range map[string][]string{"nats.nkeys": n.NKeys, "nats.coordinator_nkeys": n.CoordinatorNKeys} {
		for _, key := range keys {
			c.want(publicNKey.MatchString(key), setting, key, "want public nkeys of users, which begin with U")
		}
	}
	if n.Listen == "" || n.URL != "" {
		return
	}
	c.want(n.CredsFile == "", "nats.creds_file", n.CredsFile, "the embedded NATS server does not support it: set nats.user or nats.nkeys")
	c.want(n.CAFile == "" || n.CertFile != "", "nats.cert_file", n.CertFile, "not set, but nats.ca_file is: to demand certificates of clients, the embedded NATS server needs its own")
	demanded := n.User != "" || n.NKeySeedFile != "" || len(n.NKeys) > 0 || len(n.CoordinatorNKeys) > 0 || n.CAFile != ""
	c.want(demanded || n.Insecure, "nats.listen", n.Listen, "anyone who can reach it could read and change everything: set nats.user and nats.password, nats.nkeys or nats.ca_file; nats.insecure: true accepts all clients")
}

// fleetName matches what is a label of metrics, and may become the name of a file or a host.
var fleetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// publicNKey matches a user's public nkey.
var publicNKey = regexp.MustCompile(`^U[A-Z2-7]{55}$`)

func (s Settings) validateStores(c *check) {
	c.both("s3.access_key_id", s.S3.AccessKeyID != "", "s3.secret_access_key", s.S3.SecretAccessKey.Reveal() != "")
	if e := s.S3.Endpoint; e != "" {
		c.want(isServer(e), "s3.endpoint", hideUser(e), "want http://host:port or https://host:port")
	}
	if p := s.S3.Proxy; p != "" {
		u, err := url.Parse(p)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
		c.want(ok, "s3.proxy", hideUser(p), "want http://host:port or https://host:port")
	}
	c.want(s.S3.Region != "", "s3.region", s.S3.Region, "want a region")
	c.want(s.S3.PageKeys >= 1 && s.S3.PageKeys <= 1000, "s3.page_keys", s.S3.PageKeys, "want 1 to 1000")
	c.want(s.S3.MaxLists >= 1, "s3.max_lists", s.S3.MaxLists, "want at least 1")
	c.want(s.S3.FleetLists >= 0, "s3.fleet_lists", s.S3.FleetLists, "want 0 or more")
	for _, dir := range s.Local.Allowed {
		c.want(filepath.IsAbs(dir), "local.allowed", dir, "want absolute paths")
	}
	c.uris("sources.allow", s.Sources.Allow)
	s.validateRoles(c)
	c.uris("namespaces.allow", s.Namespaces.Allow)
}

// validateRoles checks the roles of sources. Those of another store than AWS cannot be assumed
// at AWS, where the store's credentials must not be sent.
func (s Settings) validateRoles(c *check) {
	if _, err := s.Sources.Table(); err != nil {
		c.faults = append(c.faults, fmt.Errorf("%s: %w", c.named("sources.roles"), err))
	}
	if e := s.STS.Endpoint; e != "" {
		c.want(isServer(e), "sts.endpoint", hideUser(e), "want http://host:port or https://host:port")
		return
	}
	c.want(len(s.Sources.Roles) == 0 || s.S3.Endpoint == "", "sts.endpoint", "", "not set, but sources.roles and s3.endpoint are: want the URL where roles of that store are assumed")
}

// isServer reports whether text is the URL of a server, without a login.
func isServer(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// validateLakeFS checks that a lakeFS server is named completely, or not at all. That server
// does not know where sources lie, so the settings must.
func (s Settings) validateLakeFS(c *check) {
	l := s.LakeFS
	if s.Catalog.Kind != CatalogLakeFS {
		given := l.Proxy || l.HandBack || l.URL != "" || l.AccessKeyID != "" || l.SecretAccessKey.Reveal() != ""
		c.want(!given, "catalog.kind", s.Catalog.Kind, "want lakefs, since lakefs.* is set")
		return
	}
	u, err := url.Parse(l.URL)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	c.want(ok, "lakefs.url", hideUser(l.URL), "want http://host:port or https://host:port")
	c.want(l.AccessKeyID != "", "lakefs.access_key_id", l.AccessKeyID, "want the access key of the service account")
	c.want(l.SecretAccessKey.Reveal() != "", "lakefs.secret_access_key", "", "want the secret of the access key")
	c.want(l.Proxy || !l.HandBack, "lakefs.hand_back", l.HandBack, "want lakefs.proxy, since nothing is handed to the lakeFS server without it")
	c.want(l.Proxy || l.OtherSources != SourcesHandOn, "lakefs.other_sources", l.OtherSources, "want lakefs.proxy, since nothing is handed to the lakeFS server without it")
	c.want(len(s.Sources.Allow) > 0, "sources.allow", "", "want the sources that may be imported: the lakeFS server does not know them")
}

func (s Settings) validateRanges(c *check) {
	r := s.Ranges
	c.want(r.MaxSize >= 1, "ranges.max_size_bytes", r.MaxSize, "want at least 1")
	c.want(r.MinSize <= r.MaxSize, "ranges.min_size_bytes", r.MinSize, "want at most ranges.max_size_bytes")
	c.want(r.Raggedness >= 1, "ranges.raggedness", r.Raggedness, "want at least 1")
}

// check collects faults, with the origins of the values.
type check struct {
	origins map[string]string // by key
	faults  []error
}

func (c *check) want(ok bool, key string, value any, why string) {
	if !ok {
		c.faults = append(c.faults, fmt.Errorf("%s: %q: %s", c.named(key), redact.URLs(fmt.Sprint(value)), why))
	}
}

// both checks that two keys are set, or neither.
func (c *check) both(first string, firstSet bool, second string, secondSet bool) {
	c.want(firstSet || !secondSet, first, "", "not set, but "+second+" is: set both or neither")
	c.want(secondSet || !firstSet, second, "", "not set, but "+first+" is: set both or neither")
}

// claims checks claims that are required.
func (c *check) claims(key string, required []string) {
	for _, text := range required {
		name, value, _ := strings.Cut(text, "=")
		c.want(name != "" && value != "", key, text, "want the name and a value of a claim, as NAME=VALUE")
	}
}

// uris checks prefixes of URIs.
func (c *check) uris(key string, prefixes []string) {
	for _, prefix := range prefixes {
		if _, err := objectstore.ParseURI(prefix); err != nil {
			c.faults = append(c.faults, fmt.Errorf("%s: %w", c.named(key), err))
		}
	}
}

// named returns the key, with its origin if it was set.
func (c *check) named(key string) string {
	if origin := c.origins[key]; origin != "" {
		return fmt.Sprintf("%s (%s)", key, origin)
	}
	return key
}
