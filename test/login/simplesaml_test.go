package login_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

// simpleSAML is SimpleSAMLphp, an identity provider, as Debian packages it. Its user ann has the
// password "secret".
type simpleSAML struct {
	t   *testing.T
	url string
	dir string
}

// entityID is the name of the provider, which is not where it listens.
const entityID = "https://idp.example.com"

// startSimpleSAML starts the provider, which ends with t. It skips t if it is not installed, unless
// t runs in CI.
func startSimpleSAML(t *testing.T) simpleSAML {
	t.Helper()
	const www = "/usr/share/simplesamlphp/www"
	_, err := os.Stat(www)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no SimpleSAMLphp")
	}
	expect.NoError(t, err)
	s := simpleSAML{t: t, url: freeURL(t), dir: t.TempDir()}
	for _, name := range []string{"config", "metadata", "tmp", "log", "cert"} {
		expect.NoError(t, os.Mkdir(filepath.Join(s.dir, name), 0o700))
	}
	s.configure("")
	s.write("config/authsources.php", `$config = ['users' => ['exampleauth:UserPass', 'ann:secret' => ['uid' => ['ann'], 'groups' => ['staff', 'team-a']]]];`)
	s.write("metadata/saml20-idp-hosted.php", fmt.Sprintf(
		`$metadata['%s'] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.pem', 'auth' => 'users'];`, entityID))
	s.makeKey()
	p, err := process.Start(func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "php", "-S", s.url[len("http://"):], "-t", www)
		cmd.Env = append(os.Environ(), "SIMPLESAMLPHP_CONFIG_DIR="+filepath.Join(s.dir, "config"))
		return cmd
	})
	expect.NoError(t, err)
	t.Cleanup(p.Kill)
	expect.Eventually(t, "SimpleSAMLphp answers", func() bool {
		a, err := http.Get(s.url + "/saml2/idp/metadata.php")
		if err != nil {
			return false
		}
		return a.Body.Close() == nil && a.StatusCode == http.StatusOK
	})
	return s
}

// makeKey writes the key by which the provider signs, with its certificate.
func (s simpleSAML) makeKey() {
	s.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(s.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	expect.NoError(s.t, err)
	for name, b := range map[string]*pem.Block{
		"idp.key": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, "idp.pem": {Type: "CERTIFICATE", Bytes: cert},
	} {
		expect.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "cert", name), pem.EncodeToMemory(b), 0o600))
	}
}

// configure writes the configuration with further settings, in PHP. It is read for each request.
func (s simpleSAML) configure(further string) {
	s.t.Helper()
	s.write("config/config.php", fmt.Sprintf(`$config = [
    'baseurlpath' => '%[1]s/', 'certdir' => '%[2]s/cert/', 'loggingdir' => '%[2]s/log/', 'datadir' => '%[2]s/data/', 'tempdir' => '%[2]s/tmp/',
    'metadatadir' => '%[2]s/metadata/', 'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
    'secretsalt' => 'of this test', 'auth.adminpassword' => 'of this test', 'timezone' => 'UTC', 'logging.handler' => 'file',
    'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'store.type' => 'phpsession', 'session.phpsession.cookiename' => 'SimpleSAML', 'session.phpsession.savepath' => '%[2]s/tmp',
    'session.cookie.secure' => false, 'session.cookie.samesite' => 'Lax', 'language.cookie.secure' => false,
    %[3]s
];`, s.url, s.dir, further))
}

func (s simpleSAML) write(name, php string) {
	s.t.Helper()
	expect.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte("<?php\n"+php+"\n"), 0o600))
}

// field is a hidden field of a form of the provider.
var field = regexp.MustCompile(`<input[^>]*name="(AuthState|SAMLResponse)"[^>]*value="([^"]*)"`)

// respond logs ann in where a location leads to, and returns the response for this server, in Base64.
func (s simpleSAML) respond(location string) string {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	expect.NoError(s.t, err)
	c := http.Client{Jar: jar, Timeout: expect.Patience}
	hidden := func(name string, a *http.Response, err error) (value string, from *url.URL) {
		s.t.Helper()
		expect.NoError(s.t, err)
		defer a.Body.Close()
		page, err := io.ReadAll(a.Body)
		expect.NoError(s.t, err)
		m := field.FindSubmatch(page)
		if m == nil || string(m[1]) != name {
			s.t.Fatalf("no %s in\n%s", name, page)
		}
		return html.UnescapeString(string(m[2])), a.Request.URL
	}
	a, err := c.Get(location)
	state, form := hidden("AuthState", a, err)
	a, err = c.PostForm(form.String(), url.Values{"AuthState": {state}, "username": {"ann"}, "password": {"secret"}})
	response, _ := hidden("SAMLResponse", a, err)
	return response
}
