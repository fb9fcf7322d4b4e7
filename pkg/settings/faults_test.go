package settings

import (
	"strings"
	"testing"
)

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		given given
		want  []string // one a line; $CONFIG is the path of the file
	}{
		{"unknown keys of the file", given{file: "nats:\n  urls: x\nlistn: y\nzzzzzzzzzzzz: 1\n"}, []string{
			"$CONFIG:2: nats.urls: unknown key; did you mean nats.url?",
			"$CONFIG:3: listn: unknown key; did you mean listen?",
			"$CONFIG:4: zzzzzzzzzzzz: unknown key",
		}},
		{"unknown variables", given{env: []string{"RANGEFLEET_S3_REGIO=x", "RANGEFLEET_PORT=tcp://1.2.3.4:80"}}, []string{
			"environment RANGEFLEET_PORT: unknown variable",
			"environment RANGEFLEET_S3_REGIO: unknown variable; did you mean RANGEFLEET_S3_REGION?",
		}},
		{"all sources at once", given{
			flags: []string{"--workers=many"},
			env:   []string{"RANGEFLEET_NATS_ACK_WAIT=30"},
			file:  "log.level: loud\nlog:\n  format: xml\nlisten: 8000\nranges:\n  max_size_bytes: 99999999999GiB\n  raggedness: -1\nnats.replicas: 7\n",
		}, []string{
			`log.level (file $CONFIG:1): "loud": want debug, info, warn or error`,
			`log.format (file $CONFIG:3): "xml": want one of auto, text, json`,
			`listen (file $CONFIG:4): "8000": want host:port with a port of 0 to 65535`,
			`ranges.max_size_bytes (file $CONFIG:6): "99999999999GiB": want a number of bytes such as 1048576 or 1MiB`,
			`ranges.raggedness (file $CONFIG:7): "-1": want a whole number that is not negative`,
			`nats.ack_wait (environment RANGEFLEET_NATS_ACK_WAIT): "30": want a duration such as 30s or 2m`,
			`workers (flag --workers): "many": want a whole number`,
			`nats.replicas (file $CONFIG:8): "7": want 1 without nats.url: the embedded NATS server is a single server`,
		}},
		{"what a file may not be", given{file: "nats: x\nlisten: [a]\nlocal.allowed: [{}]\nworkers: 1\nworkers : 2\n"}, []string{
			`$CONFIG:1: "nats.": want a mapping of keys`,
			`listen (file $CONFIG:2): want a single value`,
			`local.allowed (file $CONFIG:3): "": line 3: want a string`,
			`$CONFIG:5: workers: line 4 sets it already`,
		}},
		{"two documents", given{file: "workers: 1\n---\nworkers: 2\n"}, []string{"$CONFIG: want one YAML document"}},
		{"no file", given{process: Worker, flags: []string{"--config=/nowhere/x.yaml"}}, []string{
			"reading the settings: open /nowhere/x.yaml: no such file or directory",
		}},
		{"no YAML", given{process: Worker, file: "a: [b"}, []string{"$CONFIG: yaml: line 1: did not find expected ',' or ']'"}},
		{"a hidden secret copied", given{file: "s3.secret_access_key: '******'\n"}, []string{
			"s3.secret_access_key (file $CONFIG:1): this is what is printed for a secret, not a secret",
		}},
		{"valid texts, impossible settings", given{file: `
workers: 0
nats: {replicas: 9, ack_wait: 1ms, store_dir: rel}
s3: {endpoint: "ftp://user:pw@x", region: "", access_key_id: only, page_keys: 1001, proxy: "socks://user:pw@x"}
local: {allowed: [rel]}
sources: {allow: ["gs://x/"]}
ranges: {min_size_bytes: 2, max_size_bytes: 0, raggedness: 0}
auth: {secret_access_key: topsecret, jwt: {audience: a}}
http: {public_url: "https://u:pw@x/api", trusted_proxies: [10.0.0.1, proxy.example]}
`}, []string{
			`nats.replicas (file $CONFIG:3): "9": want 1 without nats.url: the embedded NATS server is a single server`,
			`nats.ack_wait (file $CONFIG:3): "1ms": want at least 1s`,
			`s3.secret_access_key: "": not set, but s3.access_key_id is: set both or neither`,
			`s3.endpoint (file $CONFIG:4): "ftp://******@x": want http://host:port or https://host:port`,
			`s3.proxy (file $CONFIG:4): "socks://******@x": want http://host:port or https://host:port`,
			`s3.region (file $CONFIG:4): "": want a region`,
			`s3.page_keys (file $CONFIG:4): "1001": want 1 to 1000`,
			`local.allowed (file $CONFIG:5): "rel": want absolute paths`,
			`sources.allow (file $CONFIG:6): "gs://x/" has the unknown scheme "gs": want s3 or local`,
			`ranges.max_size_bytes (file $CONFIG:7): "0": want at least 1`,
			`ranges.min_size_bytes (file $CONFIG:7): "2": want at most ranges.max_size_bytes`,
			`ranges.raggedness (file $CONFIG:7): "0": want at least 1`,
			`workers (file $CONFIG:2): "0": without nats.url or nats.listen no other process can do the work`,
			`nats.store_dir (file $CONFIG:3): "rel": want an absolute path`,
			`auth.access_key_id: "": not set, but auth.secret_access_key is: set both or neither`,
			`http.public_url (file $CONFIG:9): "https://******@x/api": want http://host:port or https://host:port, in lower case and without a path`,
			`http.trusted_proxies (file $CONFIG:9): "proxy.example": want an address such as 192.0.2.1 or a network such as 192.0.2.0/24`,
			`auth.jwt.issuer: "": want the issuer of the tokens, exactly as they have it`,
			`auth.jwt.jwks: "": want the URL or the file of the issuer's public keys`,
		}},
		{"a fleet without a name", given{process: Worker, flags: []string{"--nats.url=nats://n"}, file: "fleet: ''"}, []string{
			`fleet (file $CONFIG:1): "": want 1 to 63 letters, digits, '.', '_' and '-', the first of them a letter or a digit`,
		}},
		{"a fleet with a space", given{file: "fleet: 'a b'"}, []string{
			`fleet (file $CONFIG:1): "a b": want 1 to 63 letters, digits, '.', '_' and '-', the first of them a letter or a digit`,
		}},
		{"half of a certificate", given{file: "http.cert_file: api.pem"}, []string{`http.key_file: "": not set, but http.cert_file is: set both or neither`}},
		{"half of a provider", given{file: "auth.oidc: {client_secret: topsecret}"}, []string{
			`auth.oidc.issuer: "": want the URL of the provider, exactly as its tokens have it`,
			`auth.oidc.client_id: "": want the ID of a client: without one, tokens for others would be accepted`,
			`http.public_url: "": want the URL to which the provider of auth.oidc.issuer sends browsers back`,
		}},
		{"half of an issuer", given{file: "auth.jwt: {issuer: i, jwks: 'https://u:pw@idp/keys'}"}, []string{
			`auth.jwt.audience: "": want the audience of the tokens: without one, those for other services would be accepted`,
			`auth.jwt.jwks (file $CONFIG:1): "https://******@idp/keys": want no user in the URL`,
		}},
		{"ID tokens as tokens of the API", given{file: `
http.public_url: https://imports.example.com
auth: {oidc: {issuer: i, client_id: c}, jwt: {issuer: i, audience: c, jwks: f}}
`}, []string{
			`auth.jwt.audience (file $CONFIG:3): "c": want another one than auth.oidc.client_id: the ID tokens of logins would prove their users without a session, and without what auth.oidc.required_claims asks for`,
		}},
		{"a URL with a login where a path is wanted", given{file: "{audit.log: 'https://u:pw@x/log', local.allowed: ['https://u:pw@x/dir']}"}, []string{
			`local.allowed (file $CONFIG:1): "https://******@x/dir": want absolute paths`,
			`audit.log (file $CONFIG:1): "https://******@x/log": want auto, stderr, off, or an absolute path`,
		}},
		{"half of a SAML provider", given{file: "auth.saml: {user_attribute: uid}"}, []string{
			`auth.saml.metadata_file: "": want the metadata of the identity provider`,
			`http.public_url: "": want the URL to which the identity provider of auth.saml.metadata_file sends browsers`,
		}},
		{"claims without a name or a value", given{file: `
http.public_url: https://imports.example.com
auth.oidc: {issuer: i, client_id: c, required_claims: ["a=b=c", "=lake", "groups=", "groups"]}
auth.saml: {metadata_file: f, required_attributes: ["a=b", "team"]}
`}, []string{
			`auth.oidc.required_claims (file $CONFIG:3): "=lake": want the name and a value of a claim, as NAME=VALUE`,
			`auth.oidc.required_claims (file $CONFIG:3): "groups=": want the name and a value of a claim, as NAME=VALUE`,
			`auth.oidc.required_claims (file $CONFIG:3): "groups": want the name and a value of a claim, as NAME=VALUE`,
			`auth.saml.required_attributes (file $CONFIG:4): "team": want the name and a value of a claim, as NAME=VALUE`,
		}},
		{"claims of no provider", given{file: "http.public_url: https://imports.example.com\nauth: {oidc.required_claims: [a=b], saml.required_attributes: [a=b]}"}, []string{
			`auth.oidc.issuer: "": want the URL of the provider, exactly as its tokens have it`,
			`auth.oidc.client_id: "": want the ID of a client: without one, tokens for others would be accepted`,
			`auth.saml.metadata_file: "": want the metadata of the identity provider`,
		}},
		{"a URL in capitals", given{file: "http.public_url: https://Imports.example.com"}, []string{
			`http.public_url (file $CONFIG:1): "https://Imports.example.com": want http://host:port or https://host:port, in lower case and without a path`,
		}},
		{"an old name", given{
			flags: []string{"--auth.trusted_proxies=10.0.0.1"}, env: []string{"RANGEFLEET_AUTH_TRUSTED_PROXIES=10.0.0.1"}, file: "auth: {trusted_proxies: [10.0.0.1]}",
		}, []string{
			"$CONFIG:1: auth.trusted_proxies has a new name: http.trusted_proxies",
			"environment RANGEFLEET_AUTH_TRUSTED_PROXIES has a new name: RANGEFLEET_HTTP_TRUSTED_PROXIES",
			"flag --auth.trusted_proxies has a new name: --http.trusted_proxies",
		}},
		{"no credentials demanded", given{file: "nats: {listen: ':4222'}"}, []string{
			`nats.listen (file $CONFIG:1): ":4222": anyone who can reach it could read and change everything: set nats.user and nats.password, nats.nkeys or nats.ca_file; nats.insecure: true accepts all clients`,
		}},
		{"halves of a login", given{file: "nats: {url: 'nats://n', user: u, key_file: k}"}, []string{
			`nats.password: "": not set, but nats.user is: set both or neither`,
			`nats.cert_file: "": not set, but nats.key_file is: set both or neither`,
		}},
		{"other halves", given{file: "nats: {url: 'nats://n', password: hunter2, cert_file: c}"}, []string{
			`nats.user: "": not set, but nats.password is: set both or neither`,
			`nats.key_file: "": not set, but nats.cert_file is: set both or neither`,
		}},
		{"two logins", given{file: "nats: {url: 'nats://x:hunter2@n', user: u, password: p, creds_file: c}"}, []string{
			`nats.creds_file (file $CONFIG:1): "c": want one login, but nats.creds_file and nats.user are set`,
			`nats.url (file $CONFIG:1): "nats://******@n": want no login in the URL besides nats.creds_file and nats.user`,
		}},
		{"what the embedded server does not know", given{file: "nats: {listen: ':4222', creds_file: c, ca_file: c, nkeys: [SUABC]}"}, []string{
			`nats.nkeys (file $CONFIG:1): "SUABC": want public nkeys of users, which begin with U`,
			`nats.creds_file (file $CONFIG:1): "c": the embedded NATS server does not support it: set nats.user or nats.nkeys`,
			`nats.cert_file: "": not set, but nats.ca_file is: to demand certificates of clients, the embedded NATS server needs its own`,
		}},
		{"nothing is handed on without a proxy", given{file: `
catalog: {kind: lakefs}
lakefs: {url: "http://lakefs", access_key_id: a, secret_access_key: s, hand_back: true, other_sources: hand_on}
sources: {allow: ["s3://b/"]}
`}, []string{
			`lakefs.hand_back (file $CONFIG:3): "true": want lakefs.proxy, since nothing is handed to the lakeFS server without it`,
			`lakefs.other_sources (file $CONFIG:3): "hand_on": want lakefs.proxy, since nothing is handed to the lakeFS server without it`,
		}},
		{"a worker alone", given{process: Worker, env: []string{"RANGEFLEET_WORKERS=0"}}, []string{
			`nats.url: "": a worker needs the NATS server of its fleet`,
			`workers (environment RANGEFLEET_WORKERS): "0": a worker needs at least 1`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, path, err := c.given.load(t)
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), path, "$CONFIG")
			if want := strings.Join(c.want, "\n"); got != want {
				t.Errorf("faults:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
