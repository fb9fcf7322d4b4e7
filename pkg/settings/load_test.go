package settings

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// given is what a process is started with.
type given struct {
	process Process // 0: the coordinator
	flags   []string
	env     []string
	file    string // "": none; its path is $CONFIG in flags and env
}

// load loads the settings of a process that is started so. $CONFIG in texts stands for the
// path of the file.
func (g given) load(t *testing.T) (Settings, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rangefleet.yaml")
	env := append([]string{"HOME=/home/op", "PATH=/bin"}, g.env...)
	if g.file != "" {
		if err := os.WriteFile(path, []byte(g.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(append(slices.Clone(g.flags), g.env...), func(s string) bool { return strings.Contains(s, "$CONFIG") }) {
			env = append(env, "RANGEFLEET_CONFIG="+path)
		}
	}
	if g.process == 0 {
		g.process = Coordinator
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, g.process)
	if err := flags.Parse(replaceAll(g.flags, "$CONFIG", path)); err != nil {
		t.Fatalf("parsing %q: %v", g.flags, err)
	}
	s, err := Load(g.process, flags, replaceAll(env, "$CONFIG", path))
	return s, path, err
}

func replaceAll(texts []string, from, to string) []string {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		out = append(out, strings.ReplaceAll(t, from, to))
	}
	return out
}

func TestDefaults(t *testing.T) {
	s, _, err := given{}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	if s.Workers < 1 || s.Workers > 8 {
		t.Errorf("workers = %d, want 1 to 8", s.Workers)
	}
	s.Workers = 4
	var b strings.Builder
	if err := s.Print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `fleet: default # default
listen: 127.0.0.1:8000 # default
http:
  public_url: "" # default
  trusted_proxies: [] # default
  cert_file: "" # default
  key_file: "" # default
nats:
  url: "" # default
  listen: "" # default
  user: "" # default
  password: "" # default
  nkey_seed_file: "" # default
  nkeys: [] # default
  coordinator_nkeys: [] # default
  creds_file: "" # default
  ca_file: "" # default
  cert_file: "" # default
  key_file: "" # default
  insecure: false # default
  store_dir: /home/op/.local/share/rangefleet/nats # default
  replicas: 1 # default
  ack_wait: 15s # default
  lease_ttl: 6s # default
workers: 4 # default
s3:
  endpoint: "" # default
  proxy: "" # default
  region: us-east-1 # default
  force_path_style: false # default
  access_key_id: "" # default
  secret_access_key: "" # default
  listing: auto # default
  order: sorted # default
  page_keys: 1000 # default
  put_checksums: true # default
  max_lists: 96 # default
  fleet_lists: 0 # default
local:
  allowed: [] # default
catalog:
  kind: own # default
lakefs:
  url: "" # default
  access_key_id: "" # default
  secret_access_key: "" # default
  proxy: false # default
  hand_back: false # default
  precommit_hooks: refuse # default
  protected_branches: refuse # default
  other_sources: refuse # default
sources:
  allow: [] # default
  roles: [] # default
sts:
  endpoint: "" # default
namespaces:
  allow: [] # default
imports:
  markers: skip # default
ranges:
  min_size_bytes: 0 # default
  max_size_bytes: 20MiB # default
  raggedness: 50000 # default
auth:
  access_key_id: "" # default
  secret_access_key: "" # default
  jwt.issuer: "" # default
  jwt.audience: "" # default
  jwt.jwks: "" # default
  oidc.issuer: "" # default
  oidc.client_id: "" # default
  oidc.client_secret: "" # default
  oidc.scopes: [] # default
  oidc.required_claims: [] # default
  saml.metadata_file: "" # default
  saml.entity_id: "" # default
  saml.user_attribute: "" # default
  saml.required_attributes: [] # default
access:
  file: "" # default
audit:
  log: auto # default
log:
  level: info # default
  format: auto # default
metrics:
  listen: "" # default
`
	if b.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestPrecedence(t *testing.T) {
	const file = "nats:\n  url: nats://file:4222\n"
	env := "RANGEFLEET_NATS_URL=nats://env:4222"
	flag := "--nats.url=nats://flag:4222"
	for _, c := range []struct {
		name   string
		given  given
		want   string
		origin string
	}{
		{"default", given{}, "", ""},
		{"file", given{file: file}, "nats://file:4222", "file $CONFIG:2"},
		{"environment over file", given{file: file, env: []string{env}}, "nats://env:4222", "environment RANGEFLEET_NATS_URL"},
		{"flag over environment and file", given{file: file, env: []string{env}, flags: []string{flag}}, "nats://flag:4222", "flag --nats.url"},
		{"empty flag over file", given{file: file, flags: []string{"--nats.url="}}, "", "flag --nats.url"},
		{"empty variable is none", given{file: file, env: []string{"RANGEFLEET_NATS_URL="}}, "nats://file:4222", "file $CONFIG:2"},
		{"--config over $RANGEFLEET_CONFIG", given{
			file: file, flags: []string{"--config=$CONFIG"}, env: []string{"RANGEFLEET_CONFIG=/nowhere"},
		}, "nats://file:4222", "file $CONFIG:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, path, err := c.given.load(t)
			if err != nil {
				t.Fatal(err)
			}
			if s.NATS.URL != c.want {
				t.Errorf("nats.url = %q, want %q", s.NATS.URL, c.want)
			}
			if want := strings.ReplaceAll(c.origin, "$CONFIG", path); s.origins["nats.url"] != want {
				t.Errorf("origin = %q, want %q", s.origins["nats.url"], want)
			}
		})
	}
}

// Every key can be set by flag, variable and file, and is printed as it was set.
func TestEveryKeyEveryWay(t *testing.T) {
	texts := map[string]string{
		"fleet": "prod-eu.1", "listen": ":9000", "nats.url": "nats://n:4222", "nats.listen": ":4222",
		"nats.user": "fleet", "nats.password": "s3cr:et", "nats.nkey_seed_file": "/etc/seed", "nats.creds_file": "/etc/creds",
		"nats.nkeys":             "U" + strings.Repeat("A", 55) + ",U" + strings.Repeat("B", 55),
		"nats.coordinator_nkeys": "U" + strings.Repeat("C", 55),
		"nats.ca_file":           "/etc/ca.pem", "nats.cert_file": "/etc/cert.pem", "nats.key_file": "/etc/key.pem", "nats.insecure": "true",
		"nats.store_dir": "/srv/nats", "nats.replicas": "3", "nats.ack_wait": "1m30s", "nats.lease_ttl": "5s", "workers": "7",
		"s3.endpoint": "http://s3:9000", "s3.proxy": "http://proxy:3128", "s3.region": "eu-west-1", "s3.force_path_style": "true",
		"s3.access_key_id": "id", "s3.secret_access_key": "se:cr,et", "s3.listing": "walk", "s3.order": "none", "s3.page_keys": "20", "s3.put_checksums": "false", "s3.max_lists": "12", "s3.fleet_lists": "34",
		"local.allowed": "/a,/b", "catalog.kind": "lakefs", "lakefs.url": "http://lakefs:8000",
		"lakefs.access_key_id": "id", "lakefs.secret_access_key": "sec:ret", "lakefs.precommit_hooks": "skip", "lakefs.protected_branches": "store", "lakefs.other_sources": "hand_on",
		"lakefs.proxy": "true", "lakefs.hand_back": "true", "sources.allow": "s3://a/,s3://b/",
		"sources.roles": `[{"source":"s3://lake/","role_arn":"arn:aws:iam::1:role/a"},{"source":"s3://b/x/","role_arn":"arn:aws:iam::1:role/b","external_id":"id","session_name":"me"}]`, "sts.endpoint": "http://sts",
		"namespaces.allow":      "s3://c/",
		"imports.markers":       "fail",
		"ranges.min_size_bytes": "1KiB", "ranges.max_size_bytes": "3GiB", "ranges.raggedness": "17",
		"auth.access_key_id": "id", "auth.secret_access_key": "0x12", "auth.jwt.issuer": "https://idp", "auth.jwt.audience": "import", "auth.jwt.jwks": "/etc/keys.json",
		"http.public_url": "https://imports.example.com", "http.trusted_proxies": "10.0.0.1,fd00::/8", "http.cert_file": "/etc/api.pem", "http.key_file": "/etc/api.key",
		"auth.saml.metadata_file": "idp.xml", "auth.saml.entity_id": "urn:x", "auth.saml.user_attribute": "uid", "auth.saml.required_attributes": "urn:oid:1.2=lake,team=a",
		"access.file": "rules.yaml", "audit.log": "/var/log/audit.jsonl", "log.level": "debug", "log.format": "json", "metrics.listen": "localhost:0",
		"auth.oidc.issuer": "https://idp", "auth.oidc.client_id": "c", "auth.oidc.client_secret": "0x13", "auth.oidc.scopes": "email,groups", "auth.oidc.required_claims": "groups=lake,groups=a=b",
	}
	for _, k := range keys {
		set, ok := texts[k.name]
		if !ok {
			t.Fatalf("this test has no text for %s", k.name)
		}
		process := Coordinator
		if k.usedBy&Coordinator == 0 {
			process = Worker
		}
		for _, g := range []given{
			{flags: []string{"--" + k.name + "=" + set}},
			{env: []string{k.env() + "=" + set}},
			{file: k.name + ": '" + set + "'\n"},
			{file: nested(k.name) + " '" + set + "'\n"},
		} {
			// Faults of other keys, such as the other half of a pair, do not matter here.
			env := environment(append([]string{"HOME=/home/op"}, g.env...))
			l := loader{into: defaults(env, 1)}
			l.into.origins = make(map[string]string)
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			AddFlags(flags, process)
			if err := flags.Parse(g.flags); err != nil {
				t.Fatal(err)
			}
			l.yaml("f.yaml", []byte(g.file))
			l.environment(env)
			l.flags(flags)
			if l.faults != nil {
				t.Fatalf("%s by %+v: %v", k.name, g, l.faults)
			}
			v, want := k.value(&l.into), set
			if v.Type() == "secret" {
				want = hidden
			}
			if v.String() != want {
				t.Errorf("%s by %+v = %q, want %q", k.name, g, v.String(), want)
			}
			if l.into.origins[k.name] == "" {
				t.Errorf("%s by %+v has no origin", k.name, g)
			}
		}
	}
}

func nested(name string) string {
	if section, rest, ok := strings.Cut(name, "."); ok {
		return section + ":\n  " + rest + ":"
	}
	return name + ":"
}

func TestTypes(t *testing.T) {
	s, _, err := given{
		flags: []string{"--local.allowed=/a, /b", "--local.allowed", "/c", "--s3.force_path_style"},
		env: []string{
			"RANGEFLEET_S3_FORCE_PATH_STYLE=false", "RANGEFLEET_RANGES_MAX_SIZE_BYTES=1MiB",
			"RANGEFLEET_AUTH_ACCESS_KEY_ID=AK", "RANGEFLEET_AUTH_SECRET_ACCESS_KEY=s3cr3t",
		},
		file: "sources:\n  allow:\n    - s3://b/with,comma\n    - local:///data/\nlog: {level: WARN}\nnats.ack_wait: 2m\n",
	}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Local.Allowed, []string{"/a", "/b", "/c"}) {
		t.Errorf("local.allowed = %q", s.Local.Allowed)
	}
	if !slices.Equal(s.Sources.Allow, []string{"s3://b/with,comma", "local:///data/"}) {
		t.Errorf("sources.allow = %q", s.Sources.Allow)
	}
	if !s.S3.ForcePathStyle || s.Ranges.MaxSize != 1<<20 || s.Log.Level != slog.LevelWarn || s.NATS.AckWait != 2*time.Minute {
		t.Errorf("settings = %+v", s)
	}
	if s.Auth.SecretAccessKey.Reveal() != "s3cr3t" {
		t.Error("the secret was not set")
	}
}

// Each kind of credentials that the embedded server can demand is enough.
func TestEachKindOfCredentialsIsEnough(t *testing.T) {
	for _, nats := range []string{
		"listen: ':4222', user: u, password: p",
		"listen: ':4222', nkey_seed_file: s",
		"listen: ':4222', nkeys: [U" + strings.Repeat("A", 55) + "]",
		"listen: ':4222', ca_file: ca, cert_file: c, key_file: k",
		"listen: ':4222', insecure: true",
		"listen: ':4222', user: u, password: p, nkeys: [U" + strings.Repeat("A", 55) + "], ca_file: ca, cert_file: c, key_file: k",
		"url: 'tls://n', creds_file: c, ca_file: ca",
		"url: 'nats://x:y@n', cert_file: c, key_file: k",
	} {
		if _, _, err := (given{file: "nats: {" + nats + "}"}).load(t); err != nil {
			t.Errorf("%s: %v", nats, err)
		}
	}
}

func TestKubernetesServiceLinksAreNoSettings(t *testing.T) {
	env := []string{
		"KUBERNETES_SERVICE_HOST=10.0.0.1", "RANGEFLEET_SERVICE_HOST=10.0.0.2", "RANGEFLEET_SERVICE_PORT=80",
		"RANGEFLEET_NATS_SERVICE_PORT_CLIENT=4222", "RANGEFLEET_PORT=tcp://10.0.0.2:80",
		"RANGEFLEET_PORT_80_TCP=tcp://10.0.0.2:80", "RANGEFLEET_PORT_80_TCP_ADDR=10.0.0.2",
	}
	if _, _, err := (given{env: env}).load(t); err != nil {
		t.Errorf("in a pod: %v", err)
	}
	if _, _, err := (given{env: append(env, "RANGEFLEET_SERVICE=x")}).load(t); err == nil {
		t.Error("an unknown variable of a pod was taken")
	}
}

func TestNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "10.1.2.3/8": "10.0.0.0/8", "fd00::1": "fd00::1/128", "::ffff:192.0.2.1": "192.0.2.1/32",
		"": "", "proxy": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "10.0.0.1:80": "",
	} {
		n, err := parseNetwork(text)
		if (err == nil) != (want != "") || err == nil && n.String() != want {
			t.Errorf("%q is %v, %v, want %q", text, n, err, want)
		}
	}
	if _, err := (HTTP{TrustedProxies: []string{"proxy"}}).Networks(); err == nil {
		t.Error("a name is taken for a network")
	}
}
