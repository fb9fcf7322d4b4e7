package settings

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// envPrefix starts the names of our environment variables, and configEnv is the
// one that is no key: the path of the file.
const (
	envPrefix  = "RANGEFLEET_"
	configEnv  = "RANGEFLEET_CONFIG"
	configFlag = "config"
)

// A key is one line of the table.
type key struct {
	name   string // as files and flags write it
	heeded Process
	usage  string
	// computed describes a default that depends on the machine; "" if it does not.
	computed string
	of       func(*Settings) value
}

// env is the name of the key's environment variable.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

const everywhere = Coordinator | Worker

// keys is every key, in the order in which they are printed.
var keys = []key{
	{
		"listen", Coordinator, "address of the HTTP API", "",
		func(s *Settings) value { return address(&s.Listen) },
	},
	{
		"nats.url", everywhere, "NATS server or cluster; empty: a server embedded in the coordinator", "",
		func(s *Settings) value { return server(&s.NATS.URL) },
	},
	{
		"nats.listen", Coordinator, "address at which the embedded NATS server also accepts the workers of other machines; empty: none", "",
		func(s *Settings) value { return address(&s.NATS.Listen) },
	},
	{
		"nats.user", everywhere, "user at the NATS server; the embedded one demands it at nats.listen", "",
		func(s *Settings) value { return text(&s.NATS.User) },
	},
	{
		"nats.password", everywhere, "password of that user", "",
		func(s *Settings) value { return secret(&s.NATS.Password) },
	},
	{
		"nats.nkey_seed_file", everywhere, "file of an nkey's seed, in place of a user; the embedded server lets that nkey in", "",
		func(s *Settings) value { return text(&s.NATS.NKeySeedFile) },
	},
	{
		"nats.nkeys", Coordinator, "public nkeys that the embedded NATS server lets in at nats.listen", "",
		func(s *Settings) value { return list{&s.NATS.NKeys} },
	},
	{
		"nats.creds_file", everywhere, "credentials file of a user at a NATS server with operators and accounts, in place of a user", "",
		func(s *Settings) value { return text(&s.NATS.CredsFile) },
	},
	{
		"nats.ca_file", everywhere, "PEM file of a CA. With nats.url: TLS is demanded, and the CA must have signed the server's certificate. With nats.listen: the CA must have signed the certificate of each client", "",
		func(s *Settings) value { return text(&s.NATS.CAFile) },
	},
	{
		"nats.cert_file", everywhere, "PEM file of the certificate of this process: as a client with nats.url, as a server with nats.listen", "",
		func(s *Settings) value { return text(&s.NATS.CertFile) },
	},
	{
		"nats.key_file", everywhere, "PEM file of the key of that certificate", "",
		func(s *Settings) value { return text(&s.NATS.KeyFile) },
	},
	{
		"nats.insecure", Coordinator, "let whoever reaches nats.listen in, without credentials", "",
		func(s *Settings) value { return boolean(&s.NATS.Insecure) },
	},
	{
		"nats.store_dir", Coordinator, "directory of the embedded NATS server's data", "`$XDG_DATA_HOME/rangefleet/nats`, else `~/.local/share/rangefleet/nats`",
		func(s *Settings) value { return text(&s.NATS.StoreDir) },
	},
	{
		"nats.replicas", Coordinator, "copies that a NATS cluster keeps of all state, 1 to 5", "",
		func(s *Settings) value { return number(&s.NATS.Replicas) },
	},
	{
		"nats.ack_wait", everywhere, "after so long without a sign of life from its worker a partition is given to another", "",
		func(s *Settings) value { return duration(&s.NATS.AckWait) },
	},
	{
		"nats.lease_ttl", Coordinator, "after so long without a sign of life from a coordinator others take its imports over", "",
		func(s *Settings) value { return duration(&s.NATS.LeaseTTL) },
	},
	{
		"workers", everywhere, "partitions that this process works on at a time; 0: a coordinator that leaves them to worker processes", "twice GOMAXPROCS, at most 8",
		func(s *Settings) value { return number(&s.Workers) },
	},
	{
		"s3.endpoint", everywhere, "URL of the S3 server; empty: AWS", "",
		func(s *Settings) value { return server(&s.S3.Endpoint) },
	},
	{
		"s3.region", everywhere, "region of the buckets", "",
		func(s *Settings) value { return text(&s.S3.Region) },
	},
	{
		"s3.force_path_style", everywhere, "name the bucket in the path of a URL, not in its host", "",
		func(s *Settings) value { return boolean(&s.S3.ForcePathStyle) },
	},
	{
		"s3.access_key_id", everywhere, "key for S3; empty: the AWS SDK's default chain", "",
		func(s *Settings) value { return text(&s.S3.AccessKeyID) },
	},
	{
		"s3.secret_access_key", everywhere, "secret of that key", "",
		func(s *Settings) value { return secret(&s.S3.SecretAccessKey) },
	},
	{
		"s3.listing", Coordinator, "how buckets are listed: parallel (many LIST calls at a time, each after some key), walk (one page after the other, by continuation tokens), or auto (parallel for stores that are known to be safe for it, AWS and Ceph; else walk)", "",
		func(s *Settings) value { return choice(&s.S3.Listing, "auto", "parallel", "walk") },
	},
	{
		"s3.order", everywhere, "order in which the store lists keys: sorted (by their bytes), or none (imports from its buckets are refused, as only sorted listings can be imported yet)", "",
		func(s *Settings) value { return choice(&s.S3.Order, "sorted", "none") },
	},
	{
		"s3.page_keys", everywhere, "keys that a LIST call asks for, 1 to 1000; a page that does not come in time is asked for with fewer", "",
		func(s *Settings) value { return number(&s.S3.PageKeys) },
	},
	{
		"s3.put_checksums", everywhere, "send x-amz-checksum-sha256 with each object that is stored: buckets with Object Lock need it; false for stores that refuse it", "",
		func(s *Settings) value { return boolean(&s.S3.PutChecksums) },
	},
	{
		"s3.max_lists", everywhere, "LIST calls that this process has in flight at most; below that it adapts to the store", "",
		func(s *Settings) value { return number(&s.S3.MaxLists) },
	},
	{
		"s3.fleet_lists", everywhere, "LIST calls that all processes together have in flight at most, at least one each; 0: no bound", "",
		func(s *Settings) value { return number(&s.S3.FleetLists) },
	},
	{
		"local.allowed", everywhere, "directories that local:// may read and write; empty: none", "",
		func(s *Settings) value { return list{&s.Local.Allowed} },
	},
	{
		"sources.allow", Coordinator, "prefixes of the URIs that may be imported; empty: any s3://, and local:// within local.allowed", "",
		func(s *Settings) value { return list{&s.Sources.Allow} },
	},
	{
		"namespaces.allow", Coordinator, "prefixes of the URIs that may be storage namespaces; empty: any that shares no objects with sources.allow. A place within an allowed source must be named here", "",
		func(s *Settings) value { return list{&s.Namespaces.Allow} },
	},
	{
		"imports.markers", Coordinator, "what an import does with an object whose key would be empty (the marker of a folder that is imported to the root): skip (leave it out and count it), or fail", "",
		func(s *Settings) value { return choice(&s.Imports.Markers, "skip", "fail") },
	},
	{
		"ranges.min_size_bytes", Coordinator, "a range is not ended below this size; above 0, ranges depend on how an import was cut", "",
		func(s *Settings) value { return size(&s.Ranges.MinSize) },
	},
	{
		"ranges.max_size_bytes", Coordinator, "a range is ended at this size", "",
		func(s *Settings) value { return size(&s.Ranges.MaxSize) },
	},
	{
		"ranges.raggedness", Coordinator, "mean number of keys from one possible end of a range to the next", "",
		func(s *Settings) value { return count(&s.Ranges.Raggedness) },
	},
	{
		"auth.access_key_id", Coordinator, "key that the API takes; empty: a pair is made and shown once at the first start", "",
		func(s *Settings) value { return text(&s.Auth.AccessKeyID) },
	},
	{
		"auth.secret_access_key", Coordinator, "secret of that key", "",
		func(s *Settings) value { return secret(&s.Auth.SecretAccessKey) },
	},
	{
		"auth.trusted_proxies", Coordinator, "addresses and networks of proxies whose X-Forwarded-For is believed, to tell clients with failed logins apart; empty: none", "",
		func(s *Settings) value { return list{&s.Auth.TrustedProxies} },
	},
	{
		"log.level", everywhere, "least level that is logged: debug, info, warn or error", "",
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

// defaults returns the settings of a machine with that environment and that
// many processors.
func defaults(env map[string]string, procs int) Settings {
	return Settings{
		Listen:  "127.0.0.1:8000",
		NATS:    NATS{StoreDir: storeDir(env), Replicas: 1, AckWait: 15 * time.Second, LeaseTTL: 6 * time.Second},
		Workers: min(2*procs, 8),
		S3:      S3{Region: "us-east-1", Listing: "auto", MaxLists: 96, Order: "sorted", PageKeys: 1000, PutChecksums: true},
		Imports: Imports{Markers: "skip"},
		Ranges:  partition.DefaultBreaks,
		Log:     Log{Level: slog.LevelInfo, Format: "auto"},
	}
}

// storeDir follows the XDG base directories; a relative $XDG_DATA_HOME is to be
// ignored, they say. Without a home there is no default, and Validate asks.
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

// nearest returns of names the one that takes the fewest edits to make of
// name, or "" if none is near enough to be what was meant.
func nearest(name string, names []string) string {
	best, least := "", min(len(name)/2, 3)+1
	for _, n := range names {
		if d := edits(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// edits is the number of bytes to insert, delete or change between a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// isSection reports whether keys start with name and a dot.
func isSection(name string) bool {
	for _, k := range keys {
		if strings.HasPrefix(k.name, name+".") {
			return true
		}
	}
	return false
}
