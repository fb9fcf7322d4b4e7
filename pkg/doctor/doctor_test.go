package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin/samltest"
	"github.com/rangefleet/rangefleet/pkg/doctor"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// load returns settings that are set by variables, without their prefix.
func load(t *testing.T, env ...string) settings.Settings {
	t.Helper()
	all := []string{"HOME=/home/op"}
	for _, e := range env {
		all = append(all, "RANGEFLEET_"+e)
	}
	s, err := settings.Load(settings.Coordinator, pflag.NewFlagSet("", pflag.ContinueOnError), all)
	expect.NoError(t, err)
	return s
}

// checks runs all checks, and returns them one a line: "state area name: text > do".
func checks(t *testing.T, c doctor.Config) string {
	t.Helper()
	if c.HTTP == nil {
		c.HTTP = http.DefaultTransport
	}
	c.Log, c.Reach = slog.New(slog.DiscardHandler), time.Second
	var b strings.Builder
	doctor.Run(t.Context(), c, func(check doctor.Check) {
		fmt.Fprintf(&b, "%s %s %s: %s > %s\n", check.State, check.Area, check.Name, check.Text, check.Do)
	})
	return b.String()
}

func wantLines(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains("\n"+got, "\n"+w) {
			t.Errorf("no line begins with %q in\n%s", w, got)
		}
	}
}

func TestSettings(t *testing.T) {
	got := checks(t, doctor.Config{Settings: load(t, "NATS_URL=nats://fleet:hunter2@127.0.0.1:1", "S3_MAX_LISTS=96", "AUTH_ACCESS_KEY_ID=AK", "AUTH_SECRET_ACCESS_KEY=hunter3")})
	wantLines(t, got, "ok settings nats.url: nats://", "ok settings s3.max_lists: 96 (environment RANGEFLEET_S3_MAX_LISTS), which is the default",
		"ok settings auth.secret_access_key: ****** (environment", "failed nats reached: ", "warning s3 buckets: no bucket is known")
	if strings.Contains(got, "hunter") {
		t.Errorf("a secret is shown in\n%s", got)
	}
	wantLines(t, checks(t, doctor.Config{Settings: load(t)}), "ok settings all: nothing is set", "ok nats server: embedded in the coordinator, with its data in /home/op/")
	_, err := settings.Load(settings.Coordinator, pflag.NewFlagSet("", pflag.ContinueOnError), []string{"HOME=/x", "RANGEFLEET_S3_MAX_LIST=1", "RANGEFLEET_WORKERS=x"})
	if invalid := doctor.Invalid(err); len(invalid) != 2 || invalid[0].State != doctor.Failed || invalid[1].State != doctor.Failed {
		t.Errorf("%+v, want two faults", invalid)
	}
}

// Files are read as a coordinator reads them.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	expect.NoError(t, os.WriteFile(good, []byte("groups: [{id: Team, policies: [FSReadAll]}]"), 0o600))
	expect.NoError(t, os.WriteFile(bad, []byte("groups: [{id: Team, policies: [None]}]"), 0o600))
	wantLines(t, checks(t, doctor.Config{Settings: load(t, "ACCESS_FILE="+good)}), "ok files access.file: 2 groups, and ")
	wantLines(t, checks(t, doctor.Config{Settings: load(t, "ACCESS_FILE="+bad)}), "failed files access.file: "+bad)
	wantLines(t, checks(t, doctor.Config{Settings: load(t, "ACCESS_FILE="+dir+"/none")}), "failed files access.file: open "+dir+"/none")

	for left, want := range map[time.Duration]string{time.Hour: "warning", 30 * 24 * time.Hour: "ok", -time.Hour: "failed"} {
		cert, key := certificate(t, t.TempDir(), time.Now().Add(left))
		wantLines(t, checks(t, doctor.Config{Settings: load(t, "HTTP_CERT_FILE="+cert, "HTTP_KEY_FILE="+key)}), want+` files http.cert_file: for ["api.example"], until `)
	}
	cert, _ := certificate(t, t.TempDir(), time.Now().Add(time.Hour))
	_, other := certificate(t, t.TempDir(), time.Now().Add(time.Hour))
	wantLines(t, checks(t, doctor.Config{Settings: load(t, "HTTP_CERT_FILE="+cert, "HTTP_KEY_FILE="+other)}), "failed files http.cert_file: tls: private key does not match")
}

// The metadata of a SAML provider are read as a coordinator reads them.
func TestSAMLProvider(t *testing.T) {
	const public = "HTTP_PUBLIC_URL=https://fleet.example.com"
	dir := t.TempDir()
	metadata := samltest.New("https://idp.example.com", time.Now()).Metadata()
	before, rest, _ := strings.Cut(metadata, "<X509Certificate>")
	_, after, _ := strings.Cut(rest, "</X509Certificate>")
	signedBy := func(ends ...time.Duration) string {
		var all string
		for _, left := range ends {
			file, _ := certificate(t, dir, time.Now().Add(left))
			text, err := os.ReadFile(file)
			expect.NoError(t, err)
			block, _ := pem.Decode(text)
			all += "<X509Certificate>" + base64.StdEncoding.EncodeToString(block.Bytes) + "</X509Certificate>"
		}
		return before + all + after
	}
	const day = 24 * time.Hour
	const known = "provider https://idp.example.com logs in at " + samltest.SignOn + ", and knows this fleet as https://fleet.example.com/sso/metadata; "
	for name, c := range map[string]struct{ metadata, want string }{
		"good":             {signedBy(40 * day), "ok login auth.saml.metadata_file: " + known + "its last certificate is valid until "},
		"soon":             {signedBy(29 * day), "warning login auth.saml.metadata_file: " + known + "its last certificate is valid until "},
		"expired":          {signedBy(-day), "failed login auth.saml.metadata_file: " + known + "none of its certificates is valid now"},
		"not yet":          {signedBy(60 * day), "failed login auth.saml.metadata_file: " + known + "none of its certificates is valid now"},
		"another, longer":  {signedBy(day, 40*day, -day), "ok login auth.saml.metadata_file: "},
		"another, not yet": {signedBy(day, 60*day), "warning login auth.saml.metadata_file: "},
		"no certificate":   {signedBy(), "failed login auth.saml.metadata_file: " + dir + "/idp.xml: no certificate"},
		"no XML":           {"idp", "failed login auth.saml.metadata_file: " + dir + "/idp.xml: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "idp.xml")
			expect.NoError(t, os.WriteFile(file, []byte(c.metadata), 0o600))
			wantLines(t, checks(t, doctor.Config{Settings: load(t, public, "AUTH_SAML_METADATA_FILE="+file)}), c.want)
		})
	}
	wantLines(t, checks(t, doctor.Config{Settings: load(t, public, "AUTH_SAML_METADATA_FILE="+dir+"/none")}), "failed login auth.saml.metadata_file: open "+dir+"/none")
	file := filepath.Join(dir, "idp.xml")
	expect.NoError(t, os.WriteFile(file, []byte(signedBy(40*day)), 0o600))
	wantLines(t, checks(t, doctor.Config{Settings: load(t, public, "AUTH_SAML_METADATA_FILE="+file, "AUTH_SAML_ENTITY_ID=urn:fleet")}),
		"ok login auth.saml.metadata_file: provider https://idp.example.com logs in at "+samltest.SignOn+", and knows this fleet as urn:fleet; ")
}

// An OpenID Connect provider is asked what logins ask it first, and is told no secret.
func TestOIDCProvider(t *testing.T) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "1", Key: signer.Public()}}})
	expect.NoError(t, err)
	for name, c := range map[string]struct {
		issuer string // after the server's URL
		keys   string
		want   string // after the name; ISSUER is the server's URL
	}{
		"good":            {"", string(keys), "ok login auth.oidc.issuer: ISSUER answers (keys for tokens: 1); client fleet must be allowed to return to http://127.0.0.1:8000/oidc/callback > "},
		"another issuer":  {"/", string(keys), `failed login auth.oidc.issuer: ask the identity provider ISSUER/ about itself: `},
		"no keys":         {"", `{"keys":[]}`, "failed login auth.oidc.issuer: fetch the keys of the issuer of tokens: none of the 0 keys"},
		"keys that fail":  {"", "", "failed login auth.oidc.issuer: fetch the keys of the issuer of tokens: get ISSUER/keys: status 404"},
		"another address": {"/tenant", string(keys), "failed login auth.oidc.issuer: ask the identity provider ISSUER/tenant about itself: 404"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if text := fmt.Sprint(r.URL, r.Header); strings.Contains(text, "hunter2") || r.Method != http.MethodGet {
					t.Errorf("the provider is told %s %s", r.Method, text)
				}
				mux.ServeHTTP(w, r)
			}))
			t.Cleanup(idp.Close)
			mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"issuer":%[1]q,"authorization_endpoint":"%[1]s/auth","token_endpoint":"%[1]s/token","jwks_uri":"%[1]s/keys"}`, idp.URL)
			})
			mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
				if c.keys == "" {
					http.NotFound(w, r)
				}
				_, _ = io.WriteString(w, c.keys)
			})
			s := load(t, "HTTP_PUBLIC_URL=http://127.0.0.1:8000", "AUTH_OIDC_ISSUER="+idp.URL+c.issuer, "AUTH_OIDC_CLIENT_ID=fleet", "AUTH_OIDC_CLIENT_SECRET=hunter2")
			wantLines(t, checks(t, doctor.Config{Settings: s}), strings.ReplaceAll(c.want, "ISSUER", idp.URL))
		})
	}
}

// certificate writes a certificate that ends at a time, and its key.
func certificate(t *testing.T, dir string, end time.Time) (cert, key string) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"api.example"}, NotBefore: end.Add(-1000 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	expect.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	expect.NoError(t, err)
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	expect.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	expect.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return cert, key
}

// A fleet's NATS server, from the first start to one that has lost a stream.
func TestNATS(t *testing.T) {
	seed, public := queuetest.Key(t, t.TempDir())
	server := queuetest.StartServer(t, natsd.Config{Listen: "127.0.0.1:0", Access: natsd.Access{User: "fleet", Password: "hunter2", Coordinators: []string{public}}})
	at := func(password string) settings.Settings {
		return load(t, "NATS_URL="+server.ClientURL(), "NATS_USER=fleet", "NATS_PASSWORD="+password)
	}
	coordinator := load(t, "NATS_URL="+server.ClientURL(), "NATS_NKEY_SEED_FILE="+seed)
	got := checks(t, doctor.Config{Settings: at("hunter4")})
	wantLines(t, got, "failed nats reached: "+server.ClientURL()+": connect to NATS: ")
	if !strings.Contains(got, "nats.user") || strings.Contains(got, "hunter") {
		t.Errorf("a wrong password: %s", got)
	}
	wantLines(t, checks(t, doctor.Config{Settings: coordinator, Write: true}), "ok nats reached: ", "ok nats permissions: ", "ok nats disk: ",
		"ok nats streams: there are none yet", "ok nats write: a stream with 1 copies was created")

	b := queuetest.Connect(t, natsconn.Config{InProcess: server, Login: inside(server)})
	got = checks(t, doctor.Config{Settings: coordinator})
	wantLines(t, got, "ok nats stream WORK: 0 messages", "ok nats stream KV_catalog: ", "ok clock NATS: the clocks of NATS and this machine agree")
	if strings.Contains(got, "doctor-") {
		t.Errorf("the stream that was tried is left:\n%s", got)
	}
	wantLines(t, checks(t, doctor.Config{Settings: at("hunter2"), Write: true}), "ok nats permissions: those of a worker", "ok nats stream WORK: 0 messages", "ok clock NATS: ")
	expect.NoError(t, b.Conn.JetStream.DeleteStream(t.Context(), "COVERS"))
	wantLines(t, checks(t, doctor.Config{Settings: coordinator}), "warning nats streams: missing: COVERS")
}

func inside(s *natsd.Server) (l natsconn.Login) {
	l.User, l.Password = s.Login()
	return l
}

// A clock is compared by the Date of any answer.
func TestClock(t *testing.T) {
	for ahead, want := range map[time.Duration]string{
		0:                 "ok clock S3: the clocks of S3 and this machine agree within 5s",
		time.Minute:       "warning clock S3: the clock of S3 is ",
		-20 * time.Minute: "failed clock S3: the clock of S3 is ",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusForbidden)
		}))
		t.Cleanup(s.Close)
		got := checks(t, doctor.Config{
			Settings:   load(t, "S3_ENDPOINT="+s.URL, "S3_ACCESS_KEY_ID=AK", "S3_SECRET_ACCESS_KEY=hunter2", "S3_FORCE_PATH_STYLE=true"),
			Namespaces: []string{"s3://bucket/repo"},
		})
		wantLines(t, got, want, "failed s3 list s3://bucket/repo/_lakefs/: ")
		if !strings.Contains(got, "s3:ListBucket") {
			t.Errorf("%s has no advice", got)
		}
	}
}

// A source is listed with its role, in place of an allowed one that holds it, and an error says
// that the role could not be assumed. Namespaces are listed without a role.
func TestRoles(t *testing.T) {
	var by []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if r.Method == http.MethodPost && strings.HasSuffix(r.PostForm.Get("RoleArn"), "good") {
			fmt.Fprint(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"+
				"<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>")
			return
		}
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
			return
		}
		if prefix := r.URL.Query().Get("prefix"); prefix != "" {
			_, id, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
			by = append(by, prefix+" by "+id[:strings.Index(id, "/")])
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code></Error>")
	}))
	defer s.Close()
	got := checks(t, doctor.Config{
		Settings: load(t, "S3_ENDPOINT="+s.URL, "STS_ENDPOINT="+s.URL, "S3_ACCESS_KEY_ID=AK", "S3_SECRET_ACCESS_KEY=hunter2", "S3_FORCE_PATH_STYLE=true",
			"SOURCES_ALLOW=s3://lake/",
			`SOURCES_ROLES=[{source: s3://lake/a/, role_arn: "arn:aws:iam::1:role/good"}, {source: s3://lake/b/, role_arn: "arn:aws:iam::1:role/bad"}]`),
		Namespaces: []string{"s3://lake/a/repo"},
	})
	wantLines(t, got, "failed s3 list s3://lake/a/: ", "failed s3 list s3://lake/b/: try s3://lake/b/: ", "failed s3 list s3://lake/a/repo/_lakefs/: ")
	if !strings.Contains(got, "assume role arn:aws:iam::1:role/bad to read s3://lake/b/: AccessDenied") || strings.Contains(got, "list s3://lake/:") || strings.Contains(got, "hunter") {
		t.Errorf("the checks were\n%s", got)
	}
	for _, call := range by {
		if call != "a/ by ROLE" && call != "a/repo/_lakefs/ by AK" {
			t.Errorf("a call for %s", call)
		}
	}
	if len(by) < 2 {
		t.Errorf("calls for %q only", by)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	doctor.Run(ctx, doctor.Config{Settings: load(t, "NATS_URL=nats://127.0.0.1:1"), HTTP: http.DefaultTransport, Log: slog.New(slog.DiscardHandler)}, func(doctor.Check) {})
}
