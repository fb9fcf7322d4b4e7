package login_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/installed"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/login/browser"
)

// installedAs installs programs of the versions that the files of a directory name, once for each.
func installedAs(t *testing.T, dir string, files []string, install func(ctx context.Context, into string) error) string {
	t.Helper()
	digest := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		expect.NoError(t, err)
		digest.Write(text)
	}
	into, err := installed.Dir(dir+"-"+hex.EncodeToString(digest.Sum(nil)[:6]), func(into string) error { return install(t.Context(), into) })
	expect.NoError(t, err)
	return into
}

// dex is an OpenID Connect provider. Its user ann has the password "of-ann".
type dex struct {
	t   *testing.T
	url string
}

// startDex starts dex with a configuration. It ends with t.
func startDex(t *testing.T, url, config string) dex {
	t.Helper()
	programs := installedAs(t, "dex", []string{"go.mod", "go.sum"}, func(ctx context.Context, into string) error {
		build := exec.CommandContext(ctx, "go", "build", "-C", "dex", "-o", filepath.Join(into, "dex"), "github.com/dexidp/dex/cmd/dex")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		return installed.Run(build)
	})
	file := filepath.Join(t.TempDir(), "dex.yaml")
	expect.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	p, err := process.Start(func() *exec.Cmd {
		return exec.CommandContext(t.Context(), filepath.Join(programs, "dex"), "serve", file)
	})
	expect.NoError(t, err)
	t.Cleanup(func() {
		if p.Kill(); t.Failed() {
			t.Logf("log of dex, the last of it:\n%s", process.Tail(p.Output(), 20))
		}
	})
	expect.Within(t, expect.Patience, "dex answers", await.Serving(url+"/dex/.well-known/openid-configuration"))
	return dex{t, url}
}

// form is the form of dex's page.
var form = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// authorize logs ann in where a location leads to, and returns where dex sends the browser back.
func (d dex) authorize(location string) (callback string) {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	expect.NoError(d.t, err)
	c := http.Client{Jar: jar, Timeout: expect.Patience, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/oidc/callback") {
			callback = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	a, err := c.Get(location)
	expect.NoError(d.t, err)
	defer a.Body.Close()
	page, err := io.ReadAll(a.Body)
	expect.NoError(d.t, err)
	m := form.FindSubmatch(page)
	if m == nil {
		d.t.Fatalf("no form in\n%s", page)
	}
	to, err := a.Request.URL.Parse(html.UnescapeString(string(m[1])))
	expect.NoError(d.t, err)
	a, err = c.PostForm(to.String(), url.Values{"login": {"ann@example.com"}, "password": {"of-ann"}})
	expect.NoError(d.t, err)
	expect.NoError(d.t, a.Body.Close())
	return callback
}

// TestDex follows the steps of the documentation.
func TestDex(t *testing.T) {
	t.Parallel()
	public, provider, dir := freeURL(t), freeURL(t), t.TempDir()
	d := newDocument(t, "### OpenID Connect", "http://127.0.0.1:8000", public, "127.0.0.1:5556", strings.TrimPrefix(provider, "http://"),
		"file: access.yaml", "file: "+filepath.Join(dir, "access.yaml"))
	idp := startDex(t, provider, d.take("yaml"))
	settings := d.take("yaml")
	expect.NoError(t, os.WriteFile(filepath.Join(dir, "access.yaml"), []byte(d.take("yaml")), 0o600))
	c := startCoordinator(t, public, settings)
	t.Run("browser", func(t *testing.T) { testDexInABrowser(t, c) })
	t.Run("callbacks", func(t *testing.T) { testCallbacks(t, c, idp) })
}

// testDexInABrowser logs in with Chromium. The user imports, and is unknown after a logout.
func testDexInABrowser(t *testing.T, c coordinator) {
	c.t = t
	b := browser.New(t)
	type css = chromedp.CSS
	link := chromedp.WaitVisible(`//a[@href="/oidc/login" and normalize-space()="Log in with OpenID Connect"]`)
	b.Do("see the page", chromedp.Navigate(c.url+"/"), link)
	b.Do("log in", chromedp.Navigate(c.url+"/oidc/login"), // a click would not wait until the provider's page is there
		chromedp.SendKeys(css(`input[name="login"]`), "ann@example.com"), chromedp.SendKeys(css(`input[name="password"]`), "of-ann"),
		chromedp.Click(css(`button[type="submit"]`)), chromedp.WaitVisible(css("#user")))
	shown := b.Cookie("oidc_auth_session")
	if shown == nil || !shown.HTTPOnly || shown.Secure || shown.SameSite != network.CookieSameSiteLax {
		t.Fatalf("the cookie is %+v", shown)
	}
	name := b.Text("#user")
	cookie := &http.Cookie{Name: shown.Name, Value: shown.Value}
	if committer := c.imports(cookie); committer != name || !strings.HasPrefix(name, "oidc:http:=2F=2F127.0.0.1:") {
		t.Errorf("the commit is of %q, the page shows %q", committer, name)
	}
	c.runsExamples("oidc_auth", cookie)
	b.Do("log out", chromedp.Click(`//button[normalize-space()="Log out"]`), link)
	if b.Cookie("oidc_auth_session") != nil {
		t.Error("the browser keeps the cookie")
	}
	c.ask(http.StatusUnauthorized, http.MethodGet, "/api/v1/repositories/lake", cookie, nil, nil)
}

// testCallbacks sends the coordinator what dex has a browser send, as it is and changed, once and
// twice, and from the wrong browser.
func testCallbacks(t *testing.T, c coordinator, idp dex) {
	mine, others := newClient(t, c), newClient(t, c)
	begin := func(c client) (callback string) {
		_, location := c.get("/oidc/login?return_to=/wanted")
		return idp.authorize(location)
	}
	right, wrong := begin(mine), begin(others)
	query := func(callback string) url.Values {
		u, err := url.Parse(callback)
		expect.NoError(t, err)
		return u.Query()
	}
	for what, change := range map[string]func(url.Values){
		"no state":                   func(q url.Values) { q.Del("state") },
		"another login's state":      func(q url.Values) { q.Set("state", query(wrong).Get("state")) },
		"no code":                    func(q url.Values) { q.Del("code") },
		"a made-up code":             func(q url.Values) { q.Set("code", "x") },
		"another login's code":       func(q url.Values) { q.Set("code", query(wrong).Get("code")) }, // the verifier does not suit it
		"another issuer":             func(q url.Values) { q.Set("iss", "https://evil.example.com") },
		"an error instead of a code": func(q url.Values) { q.Set("error", "access_denied"); q.Del("code") },
	} {
		q := query(right)
		change(q)
		mine.wantInvalid(what, mine.request("/oidc/callback?"+q.Encode()))
	}
	others.wantInvalid("the wrong browser", others.request(right))
	newClient(t, c).wantInvalid("no browser", newClient(t, c).request(right))
	if code, next := mine.get(right); code != http.StatusSeeOther || next != "/wanted" {
		t.Errorf("the login ends with %d %s", code, next)
	}
	mine.wantInvalid("a second time", mine.request(right))
}
