package settings

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Validate lists all faults that keep the process from running with s.
func (s Settings) Validate(p Process) error {
	var c check
	s.validateNATS(&c)
	s.validateStores(&c)
	s.validateRanges(&c)
	if p == Worker {
		c.want(s.NATS.URL != "", "nats.url", s.NATS.URL, "a worker needs the NATS server of its fleet")
		c.want(s.Workers >= 1, "workers", s.Workers, "a worker needs at least 1")
		return errors.Join(c.faults...)
	}
	c.want(s.Listen != "", "listen", s.Listen, "want host:port")
	c.want(s.Workers >= 0, "workers", s.Workers, "want 0 or more")
	c.want(s.Workers != 0 || s.NATS.URL != "" || s.NATS.Listen != "", "workers", s.Workers,
		"without nats.url or nats.listen no other process can do the work")
	c.want(s.NATS.URL != "" || filepath.IsAbs(s.NATS.StoreDir), "nats.store_dir", s.NATS.StoreDir, "want an absolute path")
	c.pair("auth", s.Auth.AccessKeyID, s.Auth.SecretAccessKey)
	for _, text := range s.Auth.TrustedProxies {
		_, err := ParseNetwork(text)
		c.want(err == nil, "auth.trusted_proxies", text, "want an address such as 192.0.2.1 or a network such as 192.0.2.0/24")
	}
	return errors.Join(c.faults...)
}

func (s Settings) validateNATS(c *check) {
	n := s.NATS
	c.want(n.URL == "" || n.Listen == "", "nats.listen", n.Listen, "with nats.url no NATS server is embedded")
	n.validateLogin(c)
	c.want(n.Replicas >= 1 && n.Replicas <= 5, "nats.replicas", n.Replicas, "want 1 to 5")
	c.want(n.URL != "" || n.Replicas <= 1, "nats.replicas", n.Replicas, "the embedded NATS server is only one: want 1")
	c.want(n.AckWait >= time.Second, "nats.ack_wait", n.AckWait, "want at least 1s")
	c.want(n.LeaseTTL >= time.Second, "nats.lease_ttl", n.LeaseTTL, "want at least 1s")
}

// validateLogin wants one way to show who one is, and that the embedded server demands
// one, unless told otherwise.
func (n NATS) validateLogin(c *check) {
	c.want(n.User != "" || n.Password.Reveal() == "", "nats.user", n.User, "the password alone is no login")
	c.want(n.User == "" || n.Password.Reveal() != "", "nats.password", n.Password, "the user alone is no login")
	ways := 0
	for _, way := range []string{n.User, n.NKeySeedFile, n.CredsFile} {
		if way != "" {
			ways++
		}
	}
	c.want(ways <= 1 || n.URL == "", "nats.user", n.User, "want one of nats.user, nats.nkey_seed_file and nats.creds_file")
	c.want(ways == 0 || n.ShownURL() == n.URL, "nats.url", n.ShownURL(), "holds a user beside the one that other settings name")
	c.want(n.KeyFile == "" || n.CertFile != "", "nats.cert_file", n.CertFile, "the key alone is no certificate")
	c.want(n.CertFile == "" || n.KeyFile != "", "nats.key_file", n.KeyFile, "the certificate alone is of no use")
	for _, key := range n.NKeys {
		c.want(publicNKey.MatchString(key), "nats.nkeys", key, "want public nkeys of users, which begin with U")
	}
	if n.Listen == "" || n.URL != "" {
		return
	}
	c.want(n.CredsFile == "", "nats.creds_file", n.CredsFile, "the embedded NATS server knows users and nkeys alone")
	c.want(n.CAFile == "" || n.CertFile != "", "nats.cert_file", n.CertFile, "to demand certificates of clients, the embedded NATS server needs its own")
	demanded := n.User != "" || n.NKeySeedFile != "" || len(n.NKeys) > 0 || n.CAFile != ""
	c.want(demanded || n.Insecure, "nats.listen", n.Listen, "whoever reaches it could read and change everything: set nats.user and nats.password, nats.nkeys or nats.ca_file, or nats.insecure to let everybody in")
}

// publicNKey is the form of a user's public nkey.
var publicNKey = regexp.MustCompile(`^U[A-Z2-7]{55}$`)

func (s Settings) validateStores(c *check) {
	c.pair("s3", s.S3.AccessKeyID, s.S3.SecretAccessKey)
	if e := s.S3.Endpoint; e != "" {
		u, err := url.Parse(e)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
		c.want(ok, "s3.endpoint", hideUser(e), "want http://host:port or https://host:port")
	}
	c.want(s.S3.Region != "", "s3.region", s.S3.Region, "want a region")
	c.want(s.S3.PageKeys >= 1 && s.S3.PageKeys <= 1000, "s3.page_keys", s.S3.PageKeys, "want 1 to 1000")
	c.want(s.S3.MaxLists >= 1, "s3.max_lists", s.S3.MaxLists, "want at least 1")
	c.want(s.S3.FleetLists >= 0, "s3.fleet_lists", s.S3.FleetLists, "want 0 or more")
	for _, dir := range s.Local.Allowed {
		c.want(filepath.IsAbs(dir), "local.allowed", dir, "want absolute paths")
	}
	for _, prefix := range s.Sources.Allow {
		_, err := objectstore.ParseURI(prefix)
		c.want(err == nil, "sources.allow", prefix, fmt.Sprint(err))
	}
	for _, prefix := range s.Namespaces.Allow {
		_, err := objectstore.ParseURI(prefix)
		c.want(err == nil, "namespaces.allow", prefix, fmt.Sprint(err))
	}
}

func (s Settings) validateRanges(c *check) {
	r := s.Ranges
	c.want(r.MaxSize >= 1, "ranges.max_size_bytes", r.MaxSize, "want at least 1")
	c.want(r.MinSize <= r.MaxSize, "ranges.min_size_bytes", r.MinSize, "want at most ranges.max_size_bytes")
	c.want(r.Raggedness >= 1, "ranges.raggedness", r.Raggedness, "want at least 1")
}

// check collects faults.
type check struct{ faults []error }

func (c *check) want(ok bool, key string, value any, why string) {
	if !ok {
		c.faults = append(c.faults, fmt.Errorf("%s: %q: %s", key, fmt.Sprint(value), why))
	}
}

// pair wants both keys of a section set, or none.
func (c *check) pair(section, id string, secret Secret) {
	c.want(id != "" || secret.Reveal() == "", section+".access_key_id", id, "the secret alone is no pair")
	c.want(id == "" || secret.Reveal() != "", section+".secret_access_key", secret, "the key alone is no pair")
}
