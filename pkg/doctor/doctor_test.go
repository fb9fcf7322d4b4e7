package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/internal/expect"
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
