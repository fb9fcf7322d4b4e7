package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Whatever is answered, a browser keeps, shows and frames nothing of it.
func TestAnswersAreForOneUserAlone(t *testing.T) {
	for url, hsts := range map[string]string{"": "", "https://imports.example.com": "max-age=31536000"} {
		h := newHousehold(t, func(c *Config) { c.PublicURL = url })
		for _, x := range []exchange{
			{method: "GET", target: userPath},
			{method: "GET", target: userPath, header: http.Header{"Authorization": nil}},
			{method: "GET", target: "/none"},
			{method: "GET", target: "/_health"},
			{method: "POST", target: loginPath, body: h.loginBody("ann")},
		} {
			got := h.do(x.method, x.target, x.body, x.header).Header()
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
				"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Strict-Transport-Security": hsts,
			} {
				if got.Get(name) != want {
					t.Errorf("%s has %s: %q, want %q", x.target, name, got.Get(name), want)
				}
			}
		}
	}
	w := httptest.NewRecorder()
	newFixture(t).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://example.com/_health", http.NoBody))
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("over TLS a browser is not told to stay there")
	}
}

// guesses are what a flood of requests can try.
var guesses = map[string]func(i int) (method, target, body string, header http.Header){
	"nothing": func(int) (string, string, string, http.Header) {
		return "GET", userPath, "", http.Header{"Authorization": nil}
	},
	"tokens": func(i int) (string, string, string, http.Header) {
		return "GET", userPath, "", http.Header{"Authorization": {fmt.Sprintf("Bearer a.b.%d", i)}}
	},
	"cookies": func(i int) (string, string, string, http.Header) {
		return "GET", userPath, "", http.Header{"Authorization": nil, "Cookie": {fmt.Sprintf("oidc_auth_session=%d", i)}}
	},
	"access keys": func(i int) (string, string, string, http.Header) {
		return "GET", userPath, "", http.Header{"Authorization": {basic(fmt.Sprintf("RF%d", i), "x")}}
	},
	"logins": func(i int) (string, string, string, http.Header) {
		return "POST", loginPath, fmt.Sprintf(`{"access_key_id":"RF%d","secret_access_key":"x"}`, i), http.Header{"Authorization": nil}
	},
}

// Guesses of one address are refused after a while, whatever is guessed. Meanwhile tokens, access
// keys that are in use and other addresses are served.
func TestAFloodOfGuesses(t *testing.T) {
	const bad, good = "192.0.2.1:1", "192.0.2.2:1"
	for name, guess := range guesses {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := created
				h := newHousehold(t, func(c *Config) { c.Now = func() time.Time { return now } })
				l := logIn(t, h, nil)
				send := func(n int) map[int]int {
					codes := map[int]int{}
					for i := range n {
						method, target, body, header := guess(i)
						w := h.from(bad, method, target, body, header)
						if codes[w.Code]++; (w.Header().Get("Retry-After") == "10") != (w.Code == 429) {
							t.Fatalf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
						}
					}
					return codes
				}
				wants := func(got map[int]int, wrong, refused int) {
					t.Helper()
					if got[401] != wrong || got[429] != refused {
						t.Errorf("answers %v, want %d wrong and %d refused", got, wrong, refused)
					}
				}
				h.events.take()
				begun := time.Now()
				wants(send(1000), limits.FailedLoginsBurst, 1000-limits.FailedLoginsBurst)
				const refusals = 1000 - limits.FailedLoginsBurst
				if each := time.Since(begun) / refusals; each < refusalDelay/2 || each > refusalDelay*3/2 {
					t.Errorf("a connection is refused after %v each time", each)
				}
				if n := len(h.events.take()); n != limits.FailedLoginsBurst {
					t.Errorf("%d guesses are recorded, want those that were checked", n)
				}
				log := len(h.log.String())
				wants(send(100), 0, 100)
				if text := h.log.String()[log:]; strings.Contains(text, "login failed") || strings.Contains(text, `"INFO"`) {
					t.Error("the log grows by refused requests")
				}
				for _, x := range []struct {
					what, from string
					header     http.Header
					code       int
				}{
					{"a token", bad, l.bearer(), 200},
					{"a cookie", bad, http.Header{"Authorization": nil, "Cookie": l.cookies()["Cookie"]}, 200},
					{"a key in use", bad, h.login["ann"], 200},
					{"an unused key", bad, h.login["bob"], 429},
					{"another address", good, h.login["bob"], 200},
				} {
					if w := h.from(x.from, "GET", userPath, "", x.header); w.Code != x.code {
						t.Errorf("%s: %d, want %d", x.what, w.Code, x.code)
					}
				}
				now = now.Add(time.Second)
				wants(send(100), limits.FailedLogins, 100-limits.FailedLogins)
				if name != "nothing" {
					const want = 1000 - limits.FailedLoginsBurst + 100 + 1 + 100 - limits.FailedLogins
					if n := measured.Sum(t, h.metrics, "rangefleet_http_failed_logins_total", "refused"); n != want {
						t.Errorf("%v logins are counted as refused, want %d", n, want)
					}
				}
			})
		})
	}
}

// Users who change something without end are slowed down, and no others.
func TestAFloodOfChanges(t *testing.T) {
	h := newHousehold(t)
	const target, body = "/api/v1/statistics", `{"events":[]}`
	for range limits.ChangesBurst {
		if code := h.do("POST", target, body, h.login["ann"]).Code; code != 204 {
			t.Fatal(code)
		}
	}
	w := h.do("POST", target, body, h.login["ann"])
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one more: %d %v", w.Code, w.Header())
	}
	if w := h.do("POST", loginPath, h.loginBody("ann"), http.Header{"Authorization": nil}); w.Code != 429 || w.Header().Get("Set-Cookie") != "" { // it would store a session
		t.Errorf("a login: %d %v", w.Code, w.Header())
	}
	h.want(t, "ann", "GET", userPath, "", 200, "")
	h.want(t, "bob", "POST", target, body, 204, "")
}

// Guesses of one address are refused after a while, too, where a lakeFS server knows callers.
func TestAFloodOfGuessesBesideALakeFSServer(t *testing.T) {
	for name, guess := range guesses {
		if name == "logins" {
			continue // there are none
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				session, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Transport: oneLogin{"Bearer good"}}, lakefs.Login{})
				expect.NoError(t, err)
				f := newFixture(t, func(c *Config) { c.Gate = lakefs.NewGate(session, time.Now) })
				send := func(from string, header http.Header) int {
					return f.from(from, "GET", "/api/v1/imports", "", header).Code
				}
				got := map[int]int{}
				for i := range 1000 {
					_, _, _, header := guess(i)
					got[send("192.0.2.1:1", header)]++
				}
				const refused = 1000 - limits.FailedLoginsBurst
				if got[401] != limits.FailedLoginsBurst || got[429] != refused {
					t.Errorf("answers %v, want %d refused", got, refused)
				}
				if n := len(f.events.take()); n != limits.FailedLoginsBurst {
					t.Errorf("%d guesses are recorded", n)
				}
				for from, want := range map[string]int{"192.0.2.1:1": 200, "192.0.2.2:1": 200} {
					if code := send(from, http.Header{"Authorization": {"Bearer good"}}); code != want {
						t.Errorf("the right token from %s: %d, want %d", from, code, want)
					}
				}
			})
		})
	}
}

// A stranger who floods the server, with whatever it answers, fills neither the log nor the audit log.
func TestAFloodOfStrangersFillsNoDisk(t *testing.T) {
	for name, x := range map[string]exchange{
		"logouts":               {method: "POST", target: "/logout"},
		"logouts of no session": {method: "POST", target: "/logout", header: http.Header{"Cookie": {"internal_auth_session=x"}}},
		"malformed logins":      {method: "POST", target: loginPath, body: "{"},
		"other sites":           {method: "POST", target: "/logout", header: http.Header{"Origin": {"https://evil.example.com"}}},
		"other paths":           {method: "GET", target: "/none"},
		"malformed paths":       {method: "GET", target: "/%ff"},
		"what is not supported": {method: "POST", target: "/api/v1/setup_comm_prefs", body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHousehold(t, func(c *Config) { c.Now = func() time.Time { return created } })
				h.events.take()
				header := http.Header{"Authorization": nil}
				for name, values := range x.header {
					header[name] = values
				}
				const requests = 2 * limits.FailedLoginsBurst
				for range requests {
					h.from("192.0.2.1:1", x.method, x.target, x.body, header)
				}
				if n := len(h.events.take()); n > limits.FailedLoginsBurst {
					t.Errorf("%d lines of the audit log", n)
				}
				if n := strings.Count(h.log.String(), `"level":"INFO","msg":"request"`); n > limits.FailedLoginsBurst {
					t.Errorf("%d lines of the log", n)
				}
			})
		})
	}
}
