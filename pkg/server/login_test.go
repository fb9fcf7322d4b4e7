package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
)

const (
	loginPath = "/api/v1/auth/login"
	userPath  = "/api/v1/user"
)

// loggedIn is a user who has logged in.
type loggedIn struct {
	*household
	token  string
	cookie *http.Cookie
}

// logIn has the household's ann log in with her access key.
func logIn(t *testing.T, h *household, header http.Header) loggedIn {
	t.Helper()
	w := h.do("POST", loginPath, h.loginBody("ann"), header)
	var got api.AuthenticationToken
	expect.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 1 || got.TokenExpiration != created.Add(session.MaxLife).Unix() || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("login: %d %v %s", w.Code, w.Header(), w.Body)
	}
	return loggedIn{h, got.Token, cookies[0]}
}

// loginBody is the body of a login with the access key of a user.
func (h *household) loginBody(user string) string {
	r := http.Request{Header: h.login[user]}
	id, secret, _ := r.BasicAuth()
	return fmt.Sprintf(`{"access_key_id":%q,"secret_access_key":%q}`, id, secret)
}

// without sends a request without an access key.
func (l loggedIn) without(method, target string, header http.Header) *httptest.ResponseRecorder {
	h := http.Header{"Authorization": nil}
	for k, v := range header {
		h[k] = v
	}
	return l.do(method, target, "", h)
}

func (l loggedIn) bearer() http.Header { return http.Header{"Authorization": {"Bearer " + l.token}} }

func (l loggedIn) cookies() http.Header {
	return http.Header{"Cookie": {l.cookie.Name + "=" + l.cookie.Value}}
}

// is checks who the sender of a request is: "" is nobody.
func (l loggedIn) is(t *testing.T, header http.Header, user string) {
	t.Helper()
	w := l.without("GET", userPath, header)
	var got api.CurrentUser
	expect.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	if got.User.ID != user || (user == "") != (w.Code == 401) {
		t.Errorf("%d %s, want the user %q", w.Code, w.Body, user)
	}
}

func TestALoginProvesItsUser(t *testing.T) {
	l := logIn(t, newHousehold(t), nil)
	l.is(t, l.bearer(), "ann")
	l.is(t, l.cookies(), "ann")
	l.is(t, nil, "")
	l.is(t, http.Header{"Authorization": {"Bearer " + l.cookie.Value}}, "")
	l.is(t, http.Header{"Cookie": {l.cookie.Name + "=" + l.token}}, "")
	l.is(t, http.Header{"Cookie": {"saml_auth_session=" + l.cookie.Value}}, "")
	l.is(t, http.Header{"Cookie": {"other=x; " + l.cookie.Name + "=" + l.cookie.Value}, "Authorization": {"Negotiate x"}}, "ann")
	l.is(t, http.Header{"Cookie": l.cookies()["Cookie"], "Authorization": {"Bearer x"}}, "")
	if log := l.log.String(); strings.Contains(log, l.token) || strings.Contains(log, l.cookie.Value) {
		t.Error("the log has a token or cookie")
	}
}

func TestOnlyAnAccessKeyLogsIn(t *testing.T) {
	h := newHousehold(t)
	l := logIn(t, h, nil)
	const wrong = `{"message":"error authenticating request"}`
	for _, x := range []exchange{
		{"wrong secret", "POST", loginPath, `{"access_key_id":"` + h.key["ann"] + `","secret_access_key":"x"}`, nil, 401, wrong},
		{"unknown key", "POST", loginPath, `{"access_key_id":"x","secret_access_key":"x"}`, nil, 401, wrong},
		{"empty", "POST", loginPath, `{"access_key_id":"","secret_access_key":""}`, h.login["ann"], 401, wrong},
		{"a token as secret", "POST", loginPath, `{"access_key_id":"ann","secret_access_key":"` + l.token + `"}`, l.bearer(), 401, wrong},
		{"no secret", "POST", loginPath, `{"access_key_id":"x"}`, nil, 400, `{"message":"request body has an error: secret_access_key: value is required but missing"}`},
		{"a form", "POST", loginPath, "access_key_id=x", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 400, `{"message":"request body has an error: header Content-Type is \"application/x-www-form-urlencoded\", want application/json"}`},
		{"another method", "GET", loginPath, "", nil, 405, `{"message":"method not allowed"}`},
	} {
		w := h.do(x.method, x.target, x.body, x.header)
		if got := strings.TrimSpace(w.Body.String()); w.Code != x.code || got != x.want {
			t.Errorf("%s: %d %s, want %d %s", x.name, w.Code, got, x.code, x.want)
		}
		if w.Header().Get("Set-Cookie") != "" || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %v", x.name, w.Header())
		}
	}
}

// A cookie is for HTTPS only where clients use that.
func TestCookiesAreSecureWithTLS(t *testing.T) {
	for url, want := range map[string]bool{"": false, "http://imports.example.com": false, "https://imports.example.com": true} {
		h := newHousehold(t, func(c *Config) { c.PublicURL = url })
		if c := logIn(t, h, nil).cookie; c.Secure != want || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			t.Errorf("public URL %q: %v", url, c)
		}
	}
	h := newHousehold(t)
	r := httptest.NewRequest(http.MethodPost, "https://example.com"+loginPath, strings.NewReader(h.loginBody("ann")))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if c := w.Result().Cookies(); len(c) != 1 || !c[0].Secure {
		t.Errorf("over TLS: %v", c)
	}
}

// A logout ends all sessions that it shows, and no others.
func TestALogoutEndsItsSessions(t *testing.T) {
	h := newHousehold(t)
	a, b, c := logIn(t, h, nil), logIn(t, h, nil), logIn(t, h, nil)
	for _, header := range []http.Header{nil, h.login["ann"], {"Cookie": {a.cookie.Name + "=x"}}, {"Authorization": {"Bearer x"}}} {
		if w := a.without("POST", "/logout", header); w.Code != 204 || len(w.Result().Cookies()) != 3 {
			t.Errorf("a logout of nobody: %d %v", w.Code, w.Header())
		}
	}
	if w := a.without("GET", "/logout", a.cookies()); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", w.Code, w.Header())
	}
	a.is(t, a.cookies(), "ann")
	both := http.Header{"Cookie": a.cookies()["Cookie"], "Authorization": b.bearer()["Authorization"]}
	for _, c := range a.without("POST", "/logout", both).Result().Cookies() {
		if c.MaxAge >= 0 || c.Value != "" {
			t.Errorf("the browser keeps %v", c)
		}
	}
	for _, l := range []loggedIn{a, b} {
		l.is(t, l.bearer(), "")
		l.is(t, l.cookies(), "")
	}
	c.is(t, c.bearer(), "ann")
	expect.NoError(t, h.users.Keys().Delete(t.Context(), "ann", h.key["ann"]))
	c.is(t, c.bearer(), "")
	c.is(t, c.cookies(), "")
}

// A page of another web site makes browsers send nothing that is done, whatever they add to it.
func TestOtherSitesCannotMakeABrowserAct(t *testing.T) {
	h := newHousehold(t, func(c *Config) { c.PublicURL = "https://imports.example.com" })
	l := logIn(t, h, nil)
	foreign := []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://evil.example.com"}},
		{"Origin": {"null"}},
		{"Origin": {"https://evil.example.com"}},
		{"Origin": {"http://imports.example.com"}},
	}
	own := []http.Header{
		{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://example.com"}},
		{"Origin": {"https://imports.example.com"}},
		{"Origin": {"http://example.com"}}, // httptest's Host
		nil,
	}
	send := func(method, target, body string, header http.Header) *httptest.ResponseRecorder {
		all := http.Header{"Authorization": nil, "Cookie": l.cookies()["Cookie"]}
		for k, v := range header {
			all[k] = v
		}
		return l.do(method, target, body, all)
	}
	for _, header := range foreign {
		for _, x := range []struct{ method, target, body string }{
			{"POST", importPath, `{}`},
			{"DELETE", "/api/v1/repositories/lake", ""},
			{"PUT", "/api/v1/repositories/lake/branches/main", ""},
			{"POST", loginPath, h.loginBody("ann")},
			{"POST", "/logout", ""},
			{"POST", "/api/v1/none", ""},
		} {
			w := send(x.method, x.target, x.body, header)
			if got := strings.TrimSpace(w.Body.String()); w.Code != 403 || got != `{"message":"cross-origin request"}` || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s %s with %v: %d %s", x.method, x.target, header, w.Code, got)
			}
		}
		if w := send("GET", userPath, "", header); w.Code != 200 {
			t.Errorf("GET with %v: %d", header, w.Code)
		}
	}
	for _, header := range own {
		if w := send("POST", "/api/v1/statistics", `{"events":[]}`, header); w.Code != 204 {
			t.Errorf("%v: %d %s", header, w.Code, w.Body)
		}
	}
	l.is(t, l.cookies(), "ann")
}

// While nobody can be known, a logout does not pretend to have ended anything.
func TestSessionsDoNotEndWhileNobodyIsKnown(t *testing.T) {
	h := newHousehold(t)
	l := logIn(t, h, nil)
	away := newFixture(t, func(c *Config) { c.Auth = oneUser{err: fmt.Errorf("away")} })
	for _, x := range []exchange{{method: "POST", target: "/logout", header: l.cookies()}, {method: "POST", target: loginPath, body: h.loginBody("ann")}, {method: "GET", target: userPath, header: l.bearer()}} {
		if w := away.do(x.method, x.target, x.body, x.header); w.Code != 503 || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", x.target, w.Code, w.Header())
		}
	}
}

// Answers to wrong tokens are not delayed: nobody guesses them. Nor do they slow down a login.
func TestWrongTokensAreAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHousehold(t)
		begun := time.Now()
		for range 100 {
			if w := h.from("192.0.2.1:1", "GET", userPath, "", http.Header{"Authorization": {"Bearer x"}}); w.Code != 401 {
				t.Fatal(w.Code)
			}
		}
		if w := h.from("192.0.2.1:1", "POST", loginPath, h.loginBody(access.Admin), nil); w.Code != 200 {
			t.Errorf("a login beside them: %d", w.Code)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("wrong tokens were delayed: %v", took)
		}
	})
}

// Who may revoke the access keys of all users ends all tokens by new keys. Sessions go on.
func TestKeysOfTokensAreReplaced(t *testing.T) {
	h := newHousehold(t)
	first := logIn(t, h, nil)
	for _, user := range []string{"ann", "bob"} {
		h.want(t, user, "DELETE", "/api/v1/auth/signing_keys", "", 401, `{"message":"insufficient permissions: not allowed to auth:DeleteCredentials"}`)
	}
	first.is(t, first.bearer(), "ann")
	h.want(t, access.Admin, "DELETE", "/api/v1/auth/signing_keys", "", 204, "")
	first.is(t, first.bearer(), "")
	first.is(t, first.cookies(), "ann")
	second := logIn(t, h, nil)
	second.is(t, second.bearer(), "ann")
}

// A session is revoked by its user, or by who may manage the user's access keys.
func TestSessionsAreRevoked(t *testing.T) {
	h := newHousehold(t)
	sessions := usersPath + "/ann/sessions"
	list := func() (ids []string) {
		var got api.SessionList
		expect.NoError(t, json.Unmarshal(h.want(t, "ann", "GET", sessions, "", 200, "").Body.Bytes(), &got))
		for _, s := range got.Results {
			if s.Kind != string(session.Internal) || s.AccessKeyID != h.key["ann"] || s.CreationDate != created.Unix() || s.ExpirationDate != created.Add(session.MaxLife).Unix() {
				t.Errorf("session %+v", s)
			}
			ids = append(ids, s.ID)
		}
		return ids
	}
	if ids := list(); len(ids) > 0 {
		t.Errorf("sessions %v before a login", ids)
	}
	first, second, third := logIn(t, h, nil), logIn(t, h, nil), logIn(t, h, nil)
	ids := list()
	if len(ids) != 3 {
		t.Fatalf("sessions %v", ids)
	}
	for _, target := range []string{sessions, sessions + "/" + ids[0], usersPath + "/none/sessions/" + ids[0]} {
		h.want(t, "bob", "DELETE", target, "", 401, `{"message":"insufficient permissions: not allowed to auth:DeleteCredentials"}`)
	}
	h.want(t, "bob", "GET", sessions, "", 401, `{"message":"insufficient permissions: not allowed to auth:ListCredentials"}`)
	h.want(t, access.Admin, "DELETE", usersPath+"/bob/sessions/"+ids[0], "", 404, `{"message":"session not found"}`)
	h.want(t, "ann", "DELETE", sessions+"/"+ids[0], "", 204, "")
	first.is(t, first.bearer(), "")
	first.is(t, first.cookies(), "")
	second.is(t, second.bearer(), "ann")
	h.want(t, access.Admin, "DELETE", sessions, "", 204, "")
	second.is(t, second.bearer(), "")
	third.is(t, third.cookies(), "")
	if ids := list(); len(ids) > 0 {
		t.Errorf("sessions %v are left", ids)
	}
	fourth := logIn(t, h, nil)
	fourth.is(t, fourth.bearer(), "ann")
}
