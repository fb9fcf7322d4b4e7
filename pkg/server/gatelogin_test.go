package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// oneLogin is a lakeFS server that accepts the Authorization header good alone.
type oneLogin struct{ good string }

func (s oneLogin) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := http.StatusUnauthorized, `{"message":"error authenticating request"}`
	if r.Header.Get("Authorization") == s.good {
		status, body = http.StatusOK, `{"user":{"id":"u"}}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// fiveOperations are those of imports.
var fiveOperations = []exchange{
	{method: "POST", target: importPath, body: bodies["importStart"]},
	{method: "GET", target: importPath + "?id=running"},
	{method: "DELETE", target: importPath + "?id=running"},
	{method: "POST", target: "/api/v1/repositories/lake/branches/ranges", body: bodies["ingestRange"]},
	{method: "POST", target: "/api/v1/repositories/lake/branches/metaranges", body: bodies["createMetaRange"]},
}

// saying is a lakeFS server that answers everything alike.
type saying struct {
	status int
	body   string
}

func (s saying) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// A lakeFS server knows nobody by a name that is empty, which it answers to whoever shows nothing
// that it knows. While it does not answer, nobody is known or refused.
func TestWhoIsKnownToALakeFSServer(t *testing.T) {
	const nobody = `{"user":{"creation_date":0,"id":""}}`
	const unauthenticated, twice = `{"message":"error authenticating request"}`, `{"message":"Authorization: 2 headers, want one"}`
	shown := map[string]http.Header{
		"nothing": {"Authorization": nil}, "a cookie": {"Authorization": nil, "Cookie": {"internal_auth_session=x"}},
		"a token": {"Authorization": {"Bearer x"}}, "a key": {"Authorization": {basic("key", "secret")}}, "two headers": {"Authorization": {"Bearer x", "Bearer y"}},
	}
	synctest.Test(t, func(t *testing.T) { // answers to wrong secrets are delayed
		for name, lake := range map[string]saying{"knows nobody": {200, nobody}, "refuses": {401, unauthenticated}, "is down": {503, ""}} {
			for what, header := range shown {
				session, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Transport: lake, Sleep: func(context.Context, time.Duration) error { return nil }}, lakefs.Login{})
				expect.NoError(t, err)
				f := newFixture(t, lifeless, func(cfg *Config) { cfg.Gate = lakefs.NewGate(session, time.Now) })
				code, body := http.StatusUnauthorized, unauthenticated
				switch {
				case what == "two headers":
					code, body = http.StatusBadRequest, twice
				case lake.status == http.StatusServiceUnavailable && what != "nothing":
					code, body = http.StatusServiceUnavailable, `{"message":"the lakeFS server cannot be asked now, try again"}`
				}
				for _, x := range fiveOperations[:3] { // the others are none beside a lakeFS server
					w := f.from("192.0.2.1:1", x.method, x.target, x.body, header)
					if got := strings.TrimSpace(w.Body.String()); w.Code != code || got != body || (w.Header().Get("Retry-After") != "") != (code == http.StatusServiceUnavailable) {
						t.Errorf("a server that %s, shown %s: %s %s: %d %v %s, want %d %s", name, what, x.method, x.target, w.Code, w.Header(), got, code, body)
					}
				}
			}
		}
	})
}

// A browser sends the cookies of a lakeFS server by itself, and older ones do not keep other sites
// from using them.
func TestOtherSitesCannotUseASessionOfALakeFSServer(t *testing.T) {
	session, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Transport: oneLogin{"good"}}, lakefs.Login{})
	expect.NoError(t, err)
	f := newFixture(t, func(cfg *Config) { cfg.Gate = lakefs.NewGate(session, time.Now) })
	for origin, want := range map[string]int{"https://evil.example.com": 403, "null": 403, "http://example.com": 401} {
		w := f.do("DELETE", importPath, "", http.Header{"Authorization": nil, "Cookie": {"internal_auth_session=x"}, "Origin": {origin}})
		if w.Code != want || strings.Contains(w.Body.String(), "cross-origin request") != (want == 403) {
			t.Errorf("from %s: %d %s, want %d", origin, w.Code, w.Body, want)
		}
	}
}

// Clients behind one address do not wait for each other: one with a token that has expired
// shuts out neither other tokens nor, with a guessed secret, a key that was accepted lately.
func TestAFloodOfLoginsToALakeFSServer(t *testing.T) {
	for name, c := range map[string]struct {
		good, bad string
		accepted  bool // good was accepted before the flood
	}{
		"another token": {good: "Bearer good", bad: "Bearer expired"},
		"the same key":  {good: basic("key", "secret"), bad: basic("key", "guess"), accepted: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				session, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Transport: oneLogin{c.good}}, lakefs.Login{})
				expect.NoError(t, err)
				f := newFixture(t, func(cfg *Config) { cfg.Now, cfg.Gate = time.Now, lakefs.NewGate(session, time.Now) })
				send := func(login string) int {
					return f.from("192.0.2.1:1", "GET", "/api/v1/imports", "", http.Header{"Authorization": {login}}).Code
				}
				if c.accepted {
					send(c.good)
				}
				for range 10 { // until answers are delayed
					send(c.bad)
				}
				answers := make(chan int, 100)
				for range cap(answers) {
					go func() { answers <- send(c.bad) }()
				}
				synctest.Wait()
				begun := time.Now()
				if code := send(c.good); code != http.StatusOK || time.Since(begun) != 0 {
					t.Errorf("the good one: %d after %v", code, time.Since(begun))
				}
				got := map[int]int{}
				for range cap(answers) {
					got[<-answers]++
				}
				if got[http.StatusUnauthorized] != 4 || got[http.StatusTooManyRequests] != 96 {
					t.Errorf("answers %v", got)
				}
			})
		})
	}
}
