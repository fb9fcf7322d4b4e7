package login_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/login/browser"
)

// fetch does what a line `curl -fo file URL` does.
func fetch(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	if len(words) != 4 || words[0] != "curl" || words[1] != "-fo" {
		t.Fatalf("%q is not understood", line)
	}
	a, err := http.Get(words[3])
	expect.NoError(t, err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	expect.NoError(t, err)
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s is answered with %d %s", words[3], a.StatusCode, text)
	}
	expect.NoError(t, os.WriteFile(words[2], text, 0o600))
}

const user = "saml:https:=2F=2Fidp.example.com=7Cann"

// TestSimpleSAMLphp follows the steps of the documentation.
func TestSimpleSAMLphp(t *testing.T) {
	provider := startSimpleSAML(t)
	public, dir := freeURL(t), t.TempDir()
	d := newDocument(t, "### SAML", entityID+"/saml2", provider.url+"/saml2", "https://imports.example.com", public,
		"/etc/rangefleet", dir, "/etc/simplesamlphp", dir)
	fetch(t, d.take("sh"))
	settings := d.take("yaml")
	expect.NoError(t, os.WriteFile(filepath.Join(dir, "access.yaml"), []byte(d.take("yaml")), 0o600))
	c := startCoordinator(t, public, settings)
	fetch(t, d.take("sh"))
	provider.configure(d.take("php"))
	t.Run("browser", func(t *testing.T) { testBrowser(t, c) })
	t.Run("responses", func(t *testing.T) { testResponses(t, c, provider) })
}

// testBrowser logs in with Chromium. The user imports, and is unknown after a logout.
func testBrowser(t *testing.T, c coordinator) {
	c.t = t
	b := browser.New(t)
	type css = chromedp.CSS
	begin := chromedp.Navigate(c.url + "/sso/login-saml?return_to=/api/v1/user")
	known := chromedp.WaitVisible(`//*[contains(text(), "` + user + `")]`)
	b.Do("log in", begin,
		chromedp.SendKeys(css(`input[name="username"]`), "ann"),
		chromedp.SendKeys(css(`input[name="password"]`), "secret"),
		chromedp.Click(css(`button[type="submit"], input[type="submit"]`)), known)
	shown := b.Cookie("saml_auth_session")
	if shown == nil || !shown.HTTPOnly || shown.Secure || shown.SameSite != network.CookieSameSiteLax {
		t.Fatalf("the cookie is %+v", shown)
	}
	cookie := &http.Cookie{Name: shown.Name, Value: shown.Value}
	if committer := c.imports(cookie); committer != user {
		t.Errorf("the commit is of %q", committer)
	}
	c.runsExamples("saml_auth", cookie)
	b.Do("log in again, while the provider knows the browser", begin, known)
	if again := b.Cookie("saml_auth_session"); again == nil || again.Value == shown.Value {
		t.Errorf("the second login has the cookie %+v", again)
	}
	c.ask(http.StatusNoContent, http.MethodPost, "/logout", cookie, nil, nil)
	c.ask(http.StatusUnauthorized, http.MethodGet, "/api/v1/repositories/lake", cookie, nil, nil)
}

// testResponses posts the provider's responses as they are and changed, once and twice, and from
// the wrong browser.
func testResponses(t *testing.T, c coordinator, provider simpleSAML) {
	mine, others := newClient(t, c), newClient(t, c)
	_, location := mine.get("/sso/login-saml?return_to=/wanted")
	response := provider.respond(location)
	for what, change := range map[string]func(string) string{
		"another user":         func(r string) string { return strings.Replace(r, ">ann<", ">admin<", 1) },
		"a comment":            func(r string) string { return strings.Replace(r, ">ann<", ">ann<!-- --><", 1) },
		"a document type":      func(r string) string { return "<!DOCTYPE r>" + r },
		"no signature":         func(r string) string { return strings.ReplaceAll(r, "ds:Signature>", "ds:Other>") },
		"another destination":  func(r string) string { return strings.ReplaceAll(r, c.url, "http://other.example.com") },
		"twice in one":         func(r string) string { return r + r },
		"SHA-1 in its place":   func(r string) string { return strings.ReplaceAll(r, "rsa-sha256", "rsa-sha1") },
		"the end of its times": func(r string) string { return strings.ReplaceAll(r, "NotOnOrAfter=\"20", "NotOnOrAfter=\"21") },
	} {
		text, err := base64.StdEncoding.DecodeString(response)
		expect.NoError(t, err)
		changed := change(string(text))
		if changed == string(text) {
			t.Fatalf("%s changes nothing of %s", what, text)
		}
		others.wantInvalid(what, others.post(base64.StdEncoding.EncodeToString([]byte(changed))))
	}
	if code, next := others.answer(others.post(response)); code != http.StatusSeeOther || next != "/sso/finish" {
		t.Errorf("the response is answered with %d %s", code, next)
	}
	mine.wantInvalid("a replay", mine.post(response))
	others.wantInvalid("the wrong browser", others.request("/sso/finish"))
	if code, next := mine.get("/sso/finish"); code != http.StatusSeeOther || next != "/wanted" {
		t.Errorf("the login ends with %d %s", code, next)
	}
	mine.wantInvalid("a second end", mine.request("/sso/finish"))
}
