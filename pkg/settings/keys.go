package settings

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// envPrefix starts the names of the environment variables. configEnv and configFlag name
// the file.
const (
	envPrefix  = "RANGEFLEET_"
	configEnv  = "RANGEFLEET_CONFIG"
	configFlag = "config"
)

// A key is one line of the table.
type key struct {
	name   string // in files and flags
	usedBy Process
	usage  string
	// computed describes a default that depends on the machine, or is "".
	computed string
	value    func(*Settings) value
}

// env is the name of the key's environment variable.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

const everywhere = Coordinator | Worker

// keys is every key, in the order in which they are printed.
var keys = []key{
	{
		"fleet", everywhere, "name of the fleet in the metrics and the log of this process, the same for all of its processes: 1 to 63 letters, digits, '.', '_' and '-'", "",
		func(s *Settings) value { return text(&s.Fleet) },
	},
	{
		"listen", Coordinator, "address of the HTTP API", "",
		func(s *Settings) value { return address(&s.Listen) },
	},
	{
		"http.public_url", Coordinator, "URL at which browsers reach the API, if it is not that of listen: http://host or https://host, without a path. With https, cookies are for connections with TLS only", "",
		func(s *Settings) value { return text(&s.HTTP.PublicURL) },
	},
	{
		"http.trusted_proxies", Coordinator, "addresses and networks of proxies whose X-Forwarded-For header is trusted, to tell clients apart; empty: none", "",
		func(s *Settings) value { return list{&s.HTTP.TrustedProxies} },
	},
	{
		"http.cert_file", Coordinator, "PEM file of the API's certificate, with those of intermediate authorities; empty: the API has no TLS. A changed file is read within ten seconds, or at SIGHUP", "",
		func(s *Settings) value { return text(&s.HTTP.CertFile) },
	},
	{
		"http.key_file", Coordinator, "PEM file of that certificate's key", "",
		func(s *Settings) value { return text(&s.HTTP.KeyFile) },
	},
	{
		"nats.url", everywhere, "NATS server or cluster; empty: the server that is embedded in the coordinator", "",
		func(s *Settings) value { return server(&s.NATS.URL) },
	},
	{
		"nats.listen", Coordinator, "address at which the embedded NATS server accepts workers on other machines; empty: none", "",
		func(s *Settings) value { return address(&s.NATS.Listen) },
	},
	{
		"nats.user", everywhere, "user name for the NATS server; the embedded server demands it of workers at nats.listen", "",
		func(s *Settings) value { return text(&s.NATS.User) },
	},
	{
		"nats.password", everywhere, "password of that user", "",
		func(s *Settings) value { return secret(&s.NATS.Password) },
	},
	{
		"nats.nkey_seed_file", everywhere, "file with the seed of an nkey, instead of a user; the embedded server accepts that nkey of workers", "",
		func(s *Settings) value { return text(&s.NATS.NKeySeedFile) },
	},
	{
		"nats.nkeys", Coordinator, "public nkeys of workers that the embedded NATS server accepts at nats.listen", "",
		func(s *Settings) value { return list{&s.NATS.NKeys} },
	},
	{
		"nats.coordinator_nkeys", Coordinator, "public nkeys of other coordinators that the embedded NATS server accepts at nats.listen; everybody else there is a worker", "",
		func(s *Settings) value { return list{&s.NATS.CoordinatorNKeys} },
	},
	{
		"nats.creds_file", everywhere, "credentials file for a NATS server with operators and accounts, instead of a user", "",
		func(s *Settings) value { return text(&s.NATS.CredsFile) },
	},
	{
		"nats.ca_file", everywhere, "PEM file of a CA. With nats.url: TLS is required, and the CA must have signed the server's certificate. With nats.listen: the CA must have signed each client's certificate", "",
		func(s *Settings) value { return text(&s.NATS.CAFile) },
	},
	{
		"nats.cert_file", everywhere, "PEM file of this process's certificate: as a client with nats.url, as a server with nats.listen. A changed file is read when a client connects again, and by the server within ten seconds or at SIGHUP", "",
		func(s *Settings) value { return text(&s.NATS.CertFile) },
	},
	{
		"nats.key_file", everywhere, "PEM file of that certificate's key", "",
		func(s *Settings) value { return text(&s.NATS.KeyFile) },
	},
	{
		"nats.insecure", Coordinator, "accept all clients at nats.listen as workers, without credentials", "",
		func(s *Settings) value { return boolean(&s.NATS.Insecure) },
	},
	{
		"nats.store_dir", Coordinator, "directory of the embedded NATS server's data", "`$XDG_DATA_HOME/rangefleet/nats`, else `~/.local/share/rangefleet/nats`",
		func(s *Settings) value { return text(&s.NATS.StoreDir) },
	},
	{
		"nats.replicas", Coordinator, "number of copies that a NATS cluster keeps of all state, 1 to 5", "",
		func(s *Settings) value { return number(&s.NATS.Replicas) },
	},
	{
		"nats.ack_wait", everywhere, "time without a heartbeat of its worker after which a partition is given to another worker", "",
		func(s *Settings) value { return duration(&s.NATS.AckWait) },
	},
	{
		"nats.lease_ttl", Coordinator, "time without a heartbeat of a coordinator after which other coordinators take over its imports", "",
		func(s *Settings) value { return duration(&s.NATS.LeaseTTL) },
	},
	{
		"workers", everywhere, "number of partitions that this process works on at a time; 0: none, only worker processes do", "twice GOMAXPROCS, at most 8",
		func(s *Settings) value { return number(&s.Workers) },
	},
	{
		"s3.endpoint", everywhere, "URL of the S3 server, to whose host and port all connections to S3 lead; empty: AWS, at public addresses only", "",
		func(s *Settings) value { return server(&s.S3.Endpoint) },
	},
	{
		"s3.proxy", everywhere, "URL of a proxy through which S3 is reached; empty: none. The proxies that the environment names are not used for S3", "",
		func(s *Settings) value { return server(&s.S3.Proxy) },
	},
	{
		"s3.region", everywhere, "region of the buckets", "",
		func(s *Settings) value { return text(&s.S3.Region) },
	},
	{
		"s3.force_path_style", everywhere, "put the bucket into the path of URLs, not into the host", "",
		func(s *Settings) value { return boolean(&s.S3.ForcePathStyle) },
	},
	{
		"s3.access_key_id", everywhere, "access key for S3; empty: the AWS SDK's default credential chain", "",
		func(s *Settings) value { return text(&s.S3.AccessKeyID) },
	},
	{
		"s3.secret_access_key", everywhere, "secret of that access key", "",
		func(s *Settings) value { return secret(&s.S3.SecretAccessKey) },
	},
	{
		"s3.listing", Coordinator, "how buckets are listed: parallel (many LIST calls at a time, each starting after some key), walk (one page after the other, by continuation tokens), or auto (parallel for stores where that is known to be safe, AWS and Ceph; else walk)", "",
		func(s *Settings) value { return choice(&s.S3.Listing, "auto", "parallel", "walk") },
	},
	{
		"s3.order", everywhere, "order in which the store lists keys: sorted (bytewise), or none (imports from it are refused, since only sorted listings can be imported yet)", "",
		func(s *Settings) value { return choice(&s.S3.Order, "sorted", "none") },
	},
	{
		"s3.page_keys", everywhere, "number of keys that a LIST call asks for, 1 to 1000; a page that times out is requested again with fewer", "",
		func(s *Settings) value { return number(&s.S3.PageKeys) },
	},
	{
		"s3.put_checksums", everywhere, "send x-amz-checksum-sha256 with each object that is stored; buckets with Object Lock require it, some stores refuse it", "",
		func(s *Settings) value { return boolean(&s.S3.PutChecksums) },
	},
	{
		"s3.max_lists", everywhere, "most LIST calls that this process has in flight; below that it adapts to the store", "",
		func(s *Settings) value { return number(&s.S3.MaxLists) },
	},
	{
		"s3.fleet_lists", everywhere, "most LIST calls that all processes together have in flight, at least one each; 0: no bound", "",
		func(s *Settings) value { return number(&s.S3.FleetLists) },
	},
	{
		"local.allowed", everywhere, "directories that local:// URIs may read and write, no two of which may have the same files by links or mounts; empty: none", "",
		func(s *Settings) value { return list{&s.Local.Allowed} },
	},
	{
		"catalog.kind", Coordinator, "where repositories, branches and commits are kept: own (in the fleet's NATS), or lakefs (on a lakeFS server)", "",
		func(s *Settings) value { return choice(&s.Catalog.Kind, catalogOwn, CatalogLakeFS) },
	},
	{
		"lakefs.url", Coordinator, "URL of that lakeFS server, without /api/v1", "",
		func(s *Settings) value { return server(&s.LakeFS.URL) },
	},
	{
		"lakefs.access_key_id", Coordinator, "access key of the service account, which commits imports on the lakeFS server", "",
		func(s *Settings) value { return text(&s.LakeFS.AccessKeyID) },
	},
	{
		"lakefs.secret_access_key", Coordinator, "secret of that access key", "",
		func(s *Settings) value { return secret(&s.LakeFS.SecretAccessKey) },
	},
	{
		"lakefs.proxy", Coordinator, "hand all requests but those about imports to the lakeFS server, so that its clients and web UI can use this address", "",
		func(s *Settings) value { return boolean(&s.LakeFS.Proxy) },
	},
	{
		"lakefs.hand_back", Coordinator, "with lakefs.proxy: hand new imports to the lakeFS server, too. Imports that run here go on", "",
		func(s *Settings) value { return boolean(&s.LakeFS.HandBack) },
	},
	{
		"lakefs.precommit_hooks", Coordinator, "what an import does if its branch on the lakeFS server has pre-commit hooks, which the merge that lands it does not run: refuse, or skip (the hooks)", "",
		func(s *Settings) value { return choice(&s.LakeFS.PrecommitHooks, hooksRefuse, HooksSkip) },
	},
	{
		"lakefs.protected_branches", Coordinator, "what an import does if a pattern that protects branches on the lakeFS server covers its hidden branch rf-*, so that it cannot commit there: refuse, or store (the commit, by an internal operation of lakeFS, and create the branch at it)", "",
		func(s *Settings) value { return choice(&s.LakeFS.ProtectedBranches, protectedRefuse, ProtectedStore) },
	},
	{
		"lakefs.other_sources", Coordinator, "what happens to an import from a source that is neither s3:// nor local://: refuse, or with lakefs.proxy hand_on (to the lakeFS server, which imports it itself)", "",
		func(s *Settings) value { return choice(&s.LakeFS.OtherSources, sourcesRefuse, SourcesHandOn) },
	},
	{
		"sources.allow", Coordinator, "prefixes of the URIs that may be imported; empty: any s3://, and local:// within local.allowed", "",
		func(s *Settings) value { return list{&s.Sources.Allow} },
	},
	{
		"sources.roles", everywhere, "roles that are assumed to read sources in buckets, as docs/stores.md describes; a source without one is read with the credentials of S3", "",
		func(s *Settings) value { return roleList{&s.Sources.Roles} },
	},
	{
		"sts.endpoint", everywhere, "URL of the STS server where these roles are assumed; empty: AWS's of s3.region", "",
		func(s *Settings) value { return server(&s.STS.Endpoint) },
	},
	{
		"namespaces.allow", Coordinator, "prefixes of the URIs that may be storage namespaces; empty: any that do not overlap sources.allow. A namespace within an allowed source must be listed here", "",
		func(s *Settings) value { return list{&s.Namespaces.Allow} },
	},
	{
		"imports.markers", Coordinator, "what an import does with an object whose key would be empty (the marker of a folder that is imported to the root): skip (leave out and count it), or fail", "",
		func(s *Settings) value { return choice(&s.Imports.Markers, "skip", "fail") },
	},
	{
		"ranges.min_size_bytes", Coordinator, "size below which no range ends; above 0, ranges depend on where partitions were cut", "",
		func(s *Settings) value { return size(&s.Ranges.MinSize) },
	},
	{
		"ranges.max_size_bytes", Coordinator, "size at which a range ends", "",
		func(s *Settings) value { return size(&s.Ranges.MaxSize) },
	},
	{
		"ranges.raggedness", Coordinator, "average number of keys between possible ends of ranges", "",
		func(s *Settings) value { return count(&s.Ranges.Raggedness) },
	},
	{
		"auth.access_key_id", Coordinator, "access key that the API accepts; empty: a pair is generated and shown once, at the first start", "",
		func(s *Settings) value { return text(&s.Auth.AccessKeyID) },
	},
	{
		"auth.secret_access_key", Coordinator, "secret of that access key", "",
		func(s *Settings) value { return secret(&s.Auth.SecretAccessKey) },
	},
	{
		"auth.jwt.issuer", Coordinator, "issuer whose tokens the API accepts besides its own, as they have it in iss; empty: none", "",
		func(s *Settings) value { return text(&s.Auth.JWT.Issuer) },
	},
	{
		"auth.jwt.audience", Coordinator, "audience that its tokens must have in aud", "",
		func(s *Settings) value { return text(&s.Auth.JWT.Audience) },
	},
	{
		"auth.jwt.jwks", Coordinator, "https URL or file of its public keys, a JSON Web Key Set", "",
		func(s *Settings) value { return text(&s.Auth.JWT.JWKS) },
	},
	{
		"auth.oidc.issuer", Coordinator, "URL of an OpenID Connect provider at which browsers log in, exactly as it has it in iss; empty: none", "",
		func(s *Settings) value { return text(&s.Auth.OIDC.Issuer) },
	},
	{
		"auth.oidc.client_id", Coordinator, "ID of Rangefleet as a client of that provider, whose redirect URI is that of http.public_url with /oidc/callback", "",
		func(s *Settings) value { return text(&s.Auth.OIDC.ClientID) },
	},
	{
		"auth.oidc.client_secret", Coordinator, "secret of that client; empty: it is a public client", "",
		func(s *Settings) value { return secret(&s.Auth.OIDC.ClientSecret) },
	},
	{
		"auth.oidc.scopes", Coordinator, "scopes that a login asks for besides openid, so that tokens have the claims that the mappings of access.file need", "",
		func(s *Settings) value { return list{&s.Auth.OIDC.Scopes} },
	},
	{
		"auth.oidc.required_claims", Coordinator, "claims without which users of that provider cannot log in, each as NAME=VALUE; of several values of a claim one suffices. Empty: whoever the provider knows can", "",
		func(s *Settings) value { return list{&s.Auth.OIDC.RequiredClaims} },
	},
	{
		"auth.saml.metadata_file", Coordinator, "XML file of the metadata of a SAML identity provider at which browsers log in, which SIGHUP makes the coordinator read again; it needs http.public_url. Empty: none", "",
		func(s *Settings) value { return text(&s.Auth.SAML.MetadataFile) },
	},
	{
		"auth.saml.entity_id", Coordinator, "entity ID of the coordinators at that provider", "`/sso/metadata` at http.public_url",
		func(s *Settings) value { return text(&s.Auth.SAML.EntityID) },
	},
	{
		"auth.saml.user_attribute", Coordinator, "attribute whose value names the user; empty: the NameID does", "",
		func(s *Settings) value { return text(&s.Auth.SAML.UserAttribute) },
	},
	{
		"auth.saml.required_attributes", Coordinator, "attributes without which users of that provider cannot log in, each as NAME=VALUE; of several values of an attribute one suffices. Empty: whoever the provider knows can", "",
		func(s *Settings) value { return list{&s.Auth.SAML.RequiredAttributes} },
	},
	{
		"access.file", Coordinator, "YAML file of who may do what, which SIGHUP makes the coordinator read again; empty: only the user admin may do anything. With catalog.kind lakefs: who may import which sources", "",
		func(s *Settings) value { return text(&s.Access.File) },
	},
	{
		"audit.log", Coordinator, "where the coordinator records who changes what, who is refused, and who logs in: stderr, off, the absolute path of a file, which SIGHUP makes it open anew, or auto (stderr unless it is a terminal)", "",
		func(s *Settings) value { return text(&s.Audit.Log) },
	},
	{
		"log.level", everywhere, "lowest level that is logged: debug, info, warn or error", "",
		func(s *Settings) value { return level(&s.Log.Level) },
	},
	{
		"log.format", everywhere, "format of the log: text, json, or auto (text on a terminal, else json)", "",
		func(s *Settings) value { return choice(&s.Log.Format, "auto", "text", "json") },
	},
	{
		"metrics.listen", Worker, "address at which a worker serves /metrics, /healthz and /readyz; empty: none", "",
		func(s *Settings) value { return address(&s.Metrics.Listen) },
	},
}

// renamed are keys that had another name, by that name.
var renamed = map[string]string{"auth.trusted_proxies": "http.trusted_proxies"}

// defaults returns the default settings in an environment, on a machine with a number of
// processors.
func defaults(env map[string]string, procs int) Settings {
	return Settings{
		Fleet:   "default",
		Listen:  "127.0.0.1:8000",
		NATS:    NATS{StoreDir: storeDir(env), Replicas: 1, AckWait: 15 * time.Second, LeaseTTL: 6 * time.Second},
		Workers: min(2*procs, 8),
		S3:      S3{Region: "us-east-1", Listing: "auto", MaxLists: 96, Order: "sorted", PageKeys: 1000, PutChecksums: true},
		Catalog: Catalog{Kind: catalogOwn},
		LakeFS:  LakeFS{PrecommitHooks: hooksRefuse, ProtectedBranches: protectedRefuse, OtherSources: sourcesRefuse},
		Imports: Imports{Markers: "skip"},
		Ranges:  partition.DefaultBreaks,
		Audit:   Audit{Log: auditAuto},
		Log:     Log{Level: slog.LevelInfo, Format: "auto"},
	}
}

// storeDir follows the XDG base directory specification, by which a relative
// $XDG_DATA_HOME is ignored. Without a home there is no default, and validate reports that.
func storeDir(env map[string]string) string {
	if d := env["XDG_DATA_HOME"]; filepath.IsAbs(d) {
		return filepath.Join(d, "rangefleet", "nats")
	}
	if home := env["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "rangefleet", "nats")
	}
	return ""
}

// lookup finds a key by its name.
func lookup(name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

// isSection reports whether keys start with name and a dot.
func isSection(name string) bool {
	return slices.ContainsFunc(keys, func(k key) bool { return strings.HasPrefix(k.name, name+".") })
}
