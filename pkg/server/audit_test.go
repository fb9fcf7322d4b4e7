package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/audit"
)

// events are what a server records.
type events struct {
	mu  sync.Mutex
	all []audit.Event
}

func (e *events) record(event audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// take returns the lines of the events since the last call.
func (e *events) take() (lines []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		line, err := json.Marshal(event)
		if err != nil {
			panic(err) // an event can always be encoded
		}
		lines = append(lines, string(line))
	}
	e.all = nil
	return lines
}

// What changes something is recorded with who did it, from where, to what, and with what outcome;
// and so is what is refused. Nothing else is.
func TestAuditLog(t *testing.T) {
	const (
		start   = `{"time":"2026-03-04T05:06:07Z","request_id":"fresh-id",`
		admin   = `"user":"admin","credential":{"kind":"access_key","id":"AKIAEXAMPLE"},"client":"192.0.2.9",`
		branch  = `"repository":"lake","branch":"main",`
		allowed = `"outcome":"allowed","code":`
		denied  = `"outcome":"denied","code":401,"reason":"error authenticating request"}`
	)
	nobody := http.Header{"Authorization": nil}
	wrong := func(id string) http.Header { return http.Header{"Authorization": {basic(id, "wrong")}} }
	const body = `{"source_uri":"s3://b/raw/","prepend":"c/"}`
	for _, x := range []struct {
		name, method, target, body string
		header                     http.Header
		want                       string
	}{
		{"an import", "POST", importPath, body, nil, `"operation":"importStart",` + admin + branch +
			`"sources":["s3://b/raw/"],"destinations":["c/"],"import":"cq3k2v0t5cs0a1b2c3d0",` + allowed + `201}`},
		{"a cancel", "DELETE", importPath + "?id=running", "", nil, `"operation":"importCancel",` + admin + branch + `"import":"running",` + allowed + `204}`},
		{"a cancel too late", "DELETE", importPath + "?id=completed", "", nil, `"operation":"importCancel",` + admin + branch +
			`"import":"completed","outcome":"failed","code":409,"reason":"the import is completed"}`},
		{"a status", "GET", importPath + "?id=running", "", nil, ""},
		{"no statistics", "POST", "/api/v1/statistics", `{"events":[]}`, nil, ""},
		{"no operation", "POST", "/api/v1/nothing", "", nil, ""},
		{"a new user", "POST", "/api/v1/auth/users", `{"id":"ann"}`, nil, `"operation":"createUser",` + admin + `"target_user":"ann",` + allowed + `201}`},
		{"a tag", "POST", "/api/v1/repositories/lake/tags", `{"id":"v1","ref":"main"}`, nil, `"operation":"createTag",` + admin + `"repository":"lake","tag":"v1",` + allowed + `201}`},
		{"a repository", "POST", "/api/v1/repositories", `{"name":"pond","storage_namespace":"s3://ns/pond"}`, nil, `"operation":"createRepository",` + admin + `"repository":"pond","storage_namespace":"s3://ns/pond",` + allowed + `201}`},
		{"nobody", "POST", importPath, body, nobody, `"operation":"importStart","client":"192.0.2.9",` + branch + denied},
		{"nobody who reads", "GET", "/api/v1/repositories", "", nobody, `"operation":"listRepositories","client":"192.0.2.9",` + denied},
		{"nobody with a malformed body", "POST", importPath, "{", nobody, ""},
		{"a secret in the place of a key", "GET", "/api/v1/user", "", wrong(testSecret), `"operation":"getCurrentUser","credential":{"kind":"access_key"},"client":"192.0.2.9",` + denied},
		{"a token", "GET", "/api/v1/user", "", http.Header{"Authorization": {"Bearer x"}}, `"operation":"getCurrentUser","credential":{"kind":"token"},"client":"192.0.2.9",` + denied},
		{"two headers", "GET", "/api/v1/user", "", http.Header{"Authorization": {"Bearer x", "Bearer x"}}, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newImports(t)
			w := f.from("192.0.2.9:1", x.method, x.target, x.body, x.header)
			want := []string{start + x.want}
			if x.want == "" {
				want = nil
			}
			if got := f.events.take(); !slices.Equal(got, want) {
				t.Errorf("%d %s\n%s\nwant %s", w.Code, w.Body, got, want)
			}
		})
	}
}

// Logins and logouts are recorded, also those that fail.
func TestLoginsAreRecorded(t *testing.T) {
	h := newHousehold(t)
	l := logIn(t, h, nil)
	l.without("POST", "/logout", l.cookies())
	l.without("GET", userPath, l.cookies())
	h.do("POST", loginPath, `{"access_key_id":"`+h.key["ann"]+`","secret_access_key":"wrong"}`, nil)
	digest := regexp.MustCompile(`"id":"[0-9a-f]{16}"`)
	var got []string
	for _, line := range h.events.take() {
		_, line, _ = strings.Cut(line, `"operation":`)
		line = digest.ReplaceAllString(line, "SESSION")
		before, rest, _ := strings.Cut(line, `"client":`)
		_, rest, _ = strings.Cut(rest, ",")
		got = append(got, strings.ReplaceAll(before+rest, h.key["ann"], "KEY"))
	}
	const denied = `"outcome":"denied","code":401,"reason":"error authenticating request"}`
	want := []string{
		`"login","user":"ann","credential":{"kind":"access_key","id":"KEY"},"outcome":"allowed","code":200}`,
		`"logout","user":"ann","credential":{"kind":"session",SESSION},"outcome":"allowed","code":204}`,
		`"getCurrentUser","credential":{"kind":"session"},` + denied,
		`"login","credential":{"kind":"access_key","id":"KEY"},` + denied,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A login that cannot be read is recorded, too. So is each key that is made and deleted.
func TestKeysAndBrokenLoginsAreRecorded(t *testing.T) {
	h := newHousehold(t)
	const keys = "/api/v1/auth/users/ann/credentials"
	admin := h.login[access.Admin]
	var made api.CredentialsWithSecret
	if err := json.Unmarshal(h.do("POST", keys, "", admin).Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	h.do("DELETE", keys+"/"+h.key["ann"], "", admin)
	h.do("POST", loginPath, "{", http.Header{"Authorization": nil})
	got := h.events.take()
	for i, want := range []string{
		`"target_user":"ann","target_access_key_id":"` + made.AccessKeyID + `","outcome":"allowed","code":201}`,
		`"target_user":"ann","target_access_key_id":"` + h.key["ann"] + `","outcome":"allowed","code":204}`,
		`"operation":"login","client":"192.0.2.3","outcome":"failed","code":400,"reason":"`,
	} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

// Requests that a page of another web site sends are recorded as such.
func TestCrossOriginRequestsAreRecorded(t *testing.T) {
	f := newFixture(t)
	f.do("POST", importPath, bodies["importStart"], http.Header{"Sec-Fetch-Site": {"cross-site"}})
	const want = `"outcome":"denied","code":403,"reason":"cross-origin request"}`
	if got := f.events.take(); len(got) != 1 || !strings.HasSuffix(got[0], want) {
		t.Errorf("%s, want %s", got, want)
	}
}

// Every operation that may change something is recorded once, whoever asks for it, and no
// other one is unless it is denied.
func TestEveryChangeIsRecorded(t *testing.T) {
	f := newFixture(t)
	harmless := []string{"postStatsEvents"}
	operations(t, func(id, method, target, body string) {
		changes := method != "GET" && method != "HEAD" && !slices.Contains(harmless, id)
		f.do(method, target, body, nil)
		asked := f.events.take()
		f.do(method, target, body, http.Header{"Authorization": nil})
		denied := f.events.take()
		named := fmt.Sprintf(`"operation":%q,`, id)
		if len(asked) > 1 || (len(asked) == 1) != changes {
			t.Errorf("%s by the administrator: %s", id, asked)
		}
		if changes && (!strings.Contains(asked[0], named) || !strings.Contains(asked[0], `"user":"admin"`)) {
			t.Errorf("%s by the administrator: %s", id, asked)
		}
		if len(denied) != 1 || !strings.Contains(denied[0], named) || !strings.Contains(denied[0], `"outcome":"denied"`) || strings.Contains(denied[0], `"user":`) {
			t.Errorf("%s by nobody: %s", id, denied)
		}
	})
}

// The address is that of the client as far as proxies are trusted.
func TestAuditedAddresses(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Proxies = Proxies{netip.MustParsePrefix("192.0.2.0/24")} })
	f.from("192.0.2.9:1", "DELETE", importPath+"?id=x", "", http.Header{"X-Forwarded-For": {"203.0.113.6, 198.51.100.7"}})
	f.from("203.0.113.5:1", "DELETE", importPath+"?id=x", "", http.Header{"X-Forwarded-For": {"198.51.100.7"}})
	got := f.events.take()
	if len(got) != 2 || !strings.Contains(got[0], `"client":"198.51.100.7"`) || !strings.Contains(got[1], `"client":"203.0.113.5"`) {
		t.Errorf("%s", got)
	}
}

// A panic is recorded as a failure of the operation.
func TestPanicsAreRecorded(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Service = nil })
	f.do("DELETE", importPath+"?id=x", "", nil)
	if got := f.events.take(); len(got) != 1 || !strings.Contains(got[0], `"import":"x","outcome":"failed","code":500`) {
		t.Errorf("%s", got)
	}
}

// The record of a denial names the caller and the permissions that it lacks.
func TestDeniedCallersAreRecorded(t *testing.T) {
	f := newFixture(t, ruled(allowing(t, "fs:ReadBranch *")))
	f.do("POST", importPath, bodies["importStart"], nil)
	const want = `"sources":["s3://b/"],"destinations":[""],"outcome":"denied","code":401,"reason":"insufficient permissions: not allowed to fs:`
	if got := f.events.take(); len(got) != 1 || !strings.Contains(got[0], want) || !strings.Contains(got[0], `"user":"`) {
		t.Errorf("%s, want %s", got, want)
	}
}
