package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// fakeProvider vouches for one user, if the code is right.
type fakeProvider struct {
	err  error
	wait chan struct{} // that Begin waits for, if set
}

func (p fakeProvider) Begin(ctx context.Context, returnTo string, _ bool) (string, *http.Cookie, error) {
	if p.wait != nil {
		select {
		case <-p.wait:
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
	return "https://idp.example.com/auth?state=x", &http.Cookie{Name: "begun", Value: returnTo}, p.err
}

func (p fakeProvider) Complete(_ context.Context, r *http.Request, _ bool) (auth.External, string, error) {
	returnTo, err := r.Cookie("begun")
	if code := r.URL.Query().Get("code"); err != nil || !strings.HasPrefix(code, "right") {
		return auth.External{}, "", fmt.Errorf("%w: because", auth.ErrUnauthenticated)
	}
	return auth.External{Provider: access.OIDC, Issuer: "https://idp.example.com", Subject: "ann", Expires: created.Add(time.Hour)}, returnTo.Value, p.err
}

// newLogins returns a household whose members may also log in at a provider.
func newLogins(t *testing.T, p OIDC, more ...func(*Config)) *fixture {
	t.Helper()
	return newFixture(t, append([]func(*Config){func(c *Config) { c.Auth, c.OIDC = authenticatorOf(t, c), p }}, more...)...)
}

// browse sends a request as a browser does that follows a link.
func (f *fixture) browse(method, target string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", formType)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// shows checks what the page of the root says to a browser.
func (f *fixture) shows(t *testing.T, want string, cookies ...*http.Cookie) {
	t.Helper()
	if w := f.browse("GET", "/", cookies...); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
		t.Errorf("the page lacks %s: %d %s", want, w.Code, w.Body)
	}
}

func TestABrowserLogsInAndOut(t *testing.T) {
	for _, callback := range []string{OIDCCallback, "/api/v1" + OIDCCallback} {
		f := newLogins(t, fakeProvider{})
		f.shows(t, "not logged in")
		f.shows(t, `href="/oidc/login"`)
		begun := f.browse("GET", "/oidc/login?return_to=%2Fwanted")
		if begun.Code != http.StatusSeeOther || !strings.HasPrefix(begun.Header().Get("Location"), "https://idp.example.com/") || begun.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("a login begins with %d %v", begun.Code, begun.Header())
		}
		done := f.browse("GET", callback+"?code=right&state=x", begun.Result().Cookies()...)
		cookies := done.Result().Cookies()
		if done.Code != http.StatusSeeOther || done.Header().Get("Location") != "/wanted" || len(cookies) != 1 || cookies[0].Name != "oidc_auth_session" {
			t.Fatalf("%s: a login ends with %d %v", callback, done.Code, done.Header())
		}
		if lines := f.events.take(); len(lines) != 1 || !strings.Contains(lines[0], `"operation":"browserLogin","user":"oidc:https:=2F=2Fidp.example.com=7Cann","credential":{"kind":"session"`) {
			t.Errorf("the login is recorded as %q", lines)
		}
		f.shows(t, `<strong id="user">oidc:https:=2F=2Fidp.example.com=7Cann</strong>`, cookies[0])
		f.shows(t, `action="/logout"`, cookies[0])
		if out := f.browse("POST", "/logout", cookies[0]); out.Code != http.StatusSeeOther || out.Header().Get("Location") != "/" {
			t.Errorf("a logout: %d %v", out.Code, out.Header())
		}
		f.shows(t, "not logged in", cookies[0])
	}
}

func TestAFailedLoginSetsNoCookie(t *testing.T) {
	f := newLogins(t, fakeProvider{})
	begun := f.browse("GET", "/oidc/login").Result().Cookies()
	for name, w := range map[string]*httptest.ResponseRecorder{
		"wrong code": f.browse("GET", OIDCCallback+"?code=the-wrong-one", begun...),
		"no code":    f.browse("GET", OIDCCallback, begun...),
		"no cookie":  f.browse("GET", OIDCCallback+"?code=right"),
	} {
		if body := strings.TrimSpace(w.Body.String()); w.Code != http.StatusBadRequest || body != `{"message":"invalid login"}` || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), body)
		}
	}
	lines := f.events.take()
	for _, line := range lines {
		if !strings.Contains(line, `"operation":"browserLogin","client":`) || !strings.HasSuffix(line, `"outcome":"denied","code":400,"reason":"invalid login"}`) {
			t.Errorf("a login is recorded as %s", line)
		}
	}
	if len(lines) != 3 {
		t.Errorf("%d logins are recorded", len(lines))
	}
	if n := measured.Sum(t, f.metrics, "rangefleet_http_failed_logins_total", "wrong"); n != 3 {
		t.Errorf("%v logins are counted as wrong", n)
	}
	if log := f.log.String(); !strings.Contains(log, "because") || strings.Contains(log, "the-wrong-one") {
		t.Errorf("the log: %s", log)
	}
}

// A user of the provider who lacks a claim that is required is told so, and recorded, and becomes no
// user here.
func TestALoginWithoutARequiredClaim(t *testing.T) {
	f := newLogins(t, fakeProvider{}, func(c *Config) {
		c.Auth = authenticatorOf(t, c, func(a *auth.Config) {
			a.Required = map[access.Provider]auth.Required{access.OIDC: {"groups": {"lake"}}}
		})
	})
	done := f.browse("GET", OIDCCallback+"?code=right", f.browse("GET", "/oidc/login").Result().Cookies()...)
	if body := done.Body.String(); done.Code != http.StatusForbidden || len(done.Result().Cookies()) > 0 || !strings.Contains(body, `says of its \"groups\"`) || strings.Contains(body, "lake") {
		t.Errorf("the login ends with %d %v %s", done.Code, done.Header(), body)
	}
	lines := f.events.take()
	if len(lines) != 1 || !strings.Contains(lines[0], `"operation":"browserLogin","user":"oidc:https:=2F=2Fidp.example.com=7Cann",`) || !strings.Contains(lines[0], `"outcome":"denied","code":403,`) {
		t.Errorf("the login is recorded as %q", lines)
	}
	if log := f.log.String(); !strings.Contains(log, "login failed") {
		t.Errorf("the log: %s", log)
	}
}

// A flood of failed logins fills no log.
func TestAFloodOfFailedLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // refusals are held back
		f := newLogins(t, fakeProvider{})
		got := map[int]int{}
		for range 3 * limits.FailedLoginsBurst {
			got[f.browse("GET", OIDCCallback+"?code=x").Code]++
		}
		if got[http.StatusBadRequest] != limits.FailedLoginsBurst || got[http.StatusTooManyRequests] != 2*limits.FailedLoginsBurst {
			t.Errorf("answers %v", got)
		}
		if n := strings.Count(f.log.String(), "login failed"); n != limits.FailedLoginsBurst {
			t.Errorf("%d failures are logged", n)
		}
	})
}

func TestAProviderThatIsAwayIsNoFailedLogin(t *testing.T) {
	f := newLogins(t, fakeProvider{err: errors.New("away")})
	begun := &http.Cookie{Name: "begun", Value: "/"}
	for _, target := range []string{"/oidc/login", OIDCCallback + "?code=right"} {
		if w := f.browse("GET", target, begun); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
}

func TestReturnPathsOfLoginsStayHere(t *testing.T) {
	f := newLogins(t, fakeProvider{})
	for target, want := range map[string]string{
		"/oidc/login": "/", "/oidc/login?return_to=//evil": "/", "/oidc/login?return_to=/%5Cevil": "/", "/oidc/login?return_to=javascript:alert(1)": "/",
		"/oidc/login?return_to=/a%3Fb": "/a?b",
	} {
		if c := f.browse("GET", target).Result().Cookies(); len(c) != 1 || c[0].Value != want {
			t.Errorf("%s returns to %v", target, c)
		}
	}
}

// Codes of some providers are longer than anything else in a query.
func TestLongCodes(t *testing.T) {
	f := newLogins(t, fakeProvider{})
	begun := &http.Cookie{Name: "begun", Value: "/"}
	code := "right" + strings.Repeat("x", limits.LoginCode-len("right"))
	for target, want := range map[string]int{OIDCCallback + "?code=" + code: 303, OIDCCallback + "?code=x" + code: 400, "/oidc/login?x=" + code: 400} {
		if w := f.browse("GET", target, begun); w.Code != want {
			t.Errorf("%.40s: %d %s", target, w.Code, w.Body)
		}
	}
}

// A provider that does not answer takes none of the requests that others need.
func TestASlowProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := make(chan struct{})
		f := newLogins(t, fakeProvider{wait: wait}, func(c *Config) { c.Now = time.Now })
		codes := make(chan int, 5*limits.BrowserLogins)
		for range cap(codes) {
			go func() { codes <- f.browse("GET", "/oidc/login").Code }()
		}
		synctest.Wait()
		time.AfterFunc(burstWait+time.Second, func() { close(wait) })
		if w := f.browse("GET", "/api/v1/user"); w.Code == http.StatusTooManyRequests {
			t.Errorf("another request: %d", w.Code)
		}
		got := map[int]int{}
		for range cap(codes) {
			got[<-codes]++
		}
		if got[http.StatusTooManyRequests] < 3*limits.BrowserLogins || got[http.StatusSeeOther] < limits.BrowserLogins {
			t.Errorf("logins are answered %v", got)
		}
	})
}

func TestClientsAreToldOfTheLogin(t *testing.T) {
	f := newLogins(t, fakeProvider{})
	if w := f.browse("GET", "/api/v1/setup_lakefs"); !strings.Contains(w.Body.String(), `"login_url":"/oidc/login","login_url_method":"select"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestThePageTrustsNothing(t *testing.T) {
	f := newLogins(t, nil)
	w := f.browse("GET", "/")
	if h := w.Header(); w.Code != 200 || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none';") || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") ||
		h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", w.Code, h)
	}
	if strings.Contains(w.Body.String(), "/oidc/login") || strings.Contains(w.Body.String(), "<script") {
		t.Errorf("the page: %s", w.Body)
	}
	if w := f.browse("GET", "/oidc/login"); w.Code != http.StatusNotFound {
		t.Errorf("without a provider, a login is %d", w.Code)
	}
	tried := httptest.NewRequest(http.MethodGet, "/", nil)
	tried.Header.Set("Authorization", basic(testKey, testSecret))
	w = httptest.NewRecorder()
	f.ServeHTTP(w, tried)
	if !strings.Contains(w.Body.String(), "not logged in") {
		t.Error("the page tells whether a secret is right")
	}
}

// awaySessions cannot read sessions.
type awaySessions struct{ Authenticator }

func (awaySessions) Authenticate(context.Context, auth.Presented) (access.Caller, error) {
	return access.Caller{}, errors.New("away")
}

func TestThePageKnowsNobodyInAnOutage(t *testing.T) {
	f := newLogins(t, nil, func(c *Config) { c.Auth = awaySessions{} })
	if w := f.browse("GET", "/", &http.Cookie{Name: "oidc_auth_session", Value: "x"}); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
