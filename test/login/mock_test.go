package login_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/installed"
	"github.com/rangefleet/rangefleet/internal/process"
)

// mock is an OpenID Connect provider whose tokens say what a test wants: mock/server.mjs.
type mock struct {
	t   *testing.T
	url string
}

// startMock starts the provider, which ends with t.
func startMock(t *testing.T) mock {
	t.Helper()
	files := []string{"package.json", "package-lock.json", "server.mjs"}
	dir := installedAs(t, "mock", files, func(ctx context.Context, into string) error {
		for _, name := range files {
			text, err := os.ReadFile(filepath.Join("mock", name))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(into, name), text, 0o600); err != nil {
				return err
			}
		}
		install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = into
		return installed.Run(install)
	})
	m := mock{t, freeURL(t)}
	p, err := process.Start(func() *exec.Cmd {
		return exec.CommandContext(t.Context(), "node", filepath.Join(dir, "server.mjs"), strings.TrimPrefix(m.url, "http://"))
	})
	expect.NoError(t, err)
	t.Cleanup(func() {
		if p.Kill(); t.Failed() {
			t.Logf("output of the provider:\n%s", p.Output())
		}
	})
	expect.Within(t, expect.Patience, "the provider answers", await.Serving(m.url+"/.well-known/openid-configuration"))
	return m
}

// login logs a browser in, by a token that is forged, and returns the answer to it.
func (m mock) login(c client, forge object) *http.Response {
	m.t.Helper()
	code, location := c.get("/oidc/login")
	text, err := json.Marshal(forge)
	expect.NoError(m.t, err)
	a, err := c.Get(location + "&forge=" + url.QueryEscape(string(text)))
	expect.NoError(m.t, err)
	sent, location := c.answer(a)
	callback, ok := strings.CutPrefix(location, c.url)
	if code != http.StatusSeeOther || sent != http.StatusFound || !ok {
		m.t.Fatalf("a login is answered with %d, and by the provider with %d %s", code, sent, location)
	}
	return c.request(callback)
}

// saying is a forged token that differs from a right one in one claim.
func saying(claim string, value any) object { return object{"claims": object{claim: value}} }

// mockRules are what users of a provider may do. Only the claim staff is believed.
const mockRules = `
groups: [{id: Importers, policies: [FSFullAccess]}]
mappings:
  - {issuer: "ISSUER", claim: staff, value: lake, group: Importers}
  - {issuer: "ISSUER", claim: staff, value: root, group: Admins}
  - {issuer: "https://other.example.com", claim: groups, value: Admins, group: Admins}
`

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	m, public, dir := startMock(t), freeURL(t), t.TempDir()
	rules := filepath.Join(dir, "access.yaml")
	expect.NoError(t, os.WriteFile(rules, []byte(strings.ReplaceAll(mockRules, "ISSUER", m.url)), 0o600))
	c := startCoordinator(t, public, `
http: {public_url: "`+public+`"}
auth: {oidc: {issuer: "`+m.url+`", client_id: rangefleet, client_secret: of-the-client}}
access: {file: "`+rules+`"}
`)
	t.Run("nobody", func(t *testing.T) { testForgeries(t, c, m) })
	t.Run("names", func(t *testing.T) { testNames(t, c, m) })
	t.Run("groups", func(t *testing.T) { testGroups(t, c, m) })
	for _, secret := range []string{"of-the-client", "eyJ", "forge"} {
		if strings.Contains(c.Output(), secret) {
			t.Errorf("the log has %q:\n%s", secret, c.Output())
		}
	}
}

// testForgeries logs in by tokens that prove nothing.
func testForgeries(t *testing.T, c coordinator, m mock) {
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	all := map[string]object{
		"no nonce":             saying("nonce", nil),
		"another nonce":        saying("nonce", "x"),
		"another audience":     saying("aud", "other"),
		"others, too":          saying("aud", []string{"rangefleet", "other"}),
		"for another client":   saying("azp", "other"),
		"another issuer":       saying("iss", "https://other.example.com"),
		"issuer with a slash":  saying("iss", m.url+"/"),
		"expired":              saying("exp", at(-31*time.Second)),
		"never expires":        saying("exp", nil),
		"not valid yet":        saying("nbf", at(10*time.Minute)),
		"of the future":        saying("iat", at(10*time.Minute)),
		"no subject":           saying("sub", nil),
		"not signed":           {"sign": "none"},
		"signed by the secret": {"sign": "of-the-client"},
		"no token":             {"answer": object{"body": object{"access_token": "x", "token_type": "Bearer"}}},
		"invalid_grant":        {"answer": object{"statusCode": 400, "body": object{"error": "invalid_grant"}}},
	}
	for _, sub := range []string{"*", "${user}", "a/b", "admin ", "x\ny", strings.Repeat("x", 300), "", "{x}", "?", "é"} {
		all["the subject "+sub] = saying("sub", sub)
	}
	for what, forge := range all {
		b := newClient(t, c)
		b.wantInvalid(what, m.login(b, forge))
	}
	c.t = t
	var known struct{ Results []struct{ ID string } }
	root := m.as(t, c, object{"claims": object{"sub": "root", "staff": "root"}})
	c.ask(http.StatusOK, http.MethodGet, "/api/v1/auth/users", root, nil, &known)
	if len(known.Results) != 2 { // root and admin
		t.Errorf("there are the users %v", known.Results)
	}
	b := newClient(t, c)
	if code, _ := b.answer(m.login(b, object{"answer": object{"statusCode": 500}})); code != http.StatusServiceUnavailable {
		t.Errorf("a provider that fails makes a login end with %d", code)
	}
}

// as logs a browser in by a forged token, and returns its cookie.
func (m mock) as(t *testing.T, c coordinator, forge object) *http.Cookie {
	t.Helper()
	b := newClient(t, c)
	a := m.login(b, forge)
	code, next := b.answer(a)
	for _, cookie := range a.Cookies() {
		if cookie.Name == "oidc_auth_session" && code == http.StatusSeeOther && next == "/" {
			return cookie
		}
	}
	t.Fatalf("the login ends with %d %s, cookies %v", code, next, a.Cookies())
	return nil
}

// testNames logs in as users whom the provider gives names of others: each is a user of its own.
func testNames(t *testing.T, c coordinator, m mock) {
	c.t = t
	prefix := "oidc:" + strings.ReplaceAll(m.url, "/", "=2F") + "=7C"
	for _, sub := range []string{"admin", "saml:https://idp.example.com|ann", "oidc:https://idp.example.com|ann", "ann"} {
		if strings.Contains(sub, "/") { // no subject has one
			b := newClient(t, c)
			b.wantInvalid(sub, m.login(b, saying("sub", sub)))
			continue
		}
		cookie := m.as(t, c, saying("sub", sub))
		var who struct{ User struct{ ID string } }
		c.ask(http.StatusOK, http.MethodGet, "/api/v1/user", cookie, nil, &who)
		if who.User.ID != prefix+sub {
			t.Errorf("the subject %s is the user %q", sub, who.User.ID)
		}
		c.ask(http.StatusUnauthorized, http.MethodGet, "/api/v1/repositories", cookie, nil, nil)
	}
}

// testGroups logs in with claims of groups: only what a mapping of this issuer names is believed.
func testGroups(t *testing.T, c coordinator, m mock) {
	c.t = t
	for _, claims := range []object{
		{"groups": []string{"Admins", "Importers"}},
		{"initial_groups": "Admins"},
		{"staff": []string{"Importers", "lak", "lake2"}},
		{"staff": "lake,ops"},
		{"Groups": "Admins"},
		{"staff": object{"lake": "lake"}},
		{"staff": []any{[]string{"lake"}}},
	} {
		maps.Copy(claims, object{"sub": "bob"})
		c.ask(http.StatusUnauthorized, http.MethodGet, "/api/v1/repositories", m.as(t, c, object{"claims": claims}), nil, nil)
	}
	for _, staff := range []any{"lake", []string{"ops", "lake"}} {
		cookie := m.as(t, c, object{"claims": object{"sub": "ann", "staff": staff}})
		c.ask(http.StatusOK, http.MethodGet, "/api/v1/repositories", cookie, nil, nil)
		c.ask(http.StatusUnauthorized, http.MethodGet, "/api/v1/auth/users", cookie, nil, nil)
	}
}
