package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
)

const (
	authN      = `{"message":"error authenticating request"}`
	importPath = "/api/v1/repositories/repo/branches/main/import"
)

// operations are the five of imports, with bodies that are well formed.
var operations = []asked{
	{"POST", importPath, `{"paths":[{"type":"common_prefix","path":"s3://b/p/","destination":"d"}],"commit":{"message":"m"}}`, nil},
	{"GET", importPath + "?id=cq3k2v0t5cs0a1b2c3d0", "", nil},
	{"DELETE", importPath + "?id=cq3k2v0t5cs0a1b2c3d0", "", nil},
	{"POST", "/api/v1/repositories/repo/branches/ranges", `{"fromSourceURI":"s3://b/p/","prepend":"","after":""}`, nil},
	{"POST", "/api/v1/repositories/repo/branches/metaranges", `{"ranges":[]}`, nil},
}

// Every scheme proves its user to every coordinator, and what only looks like it proves nobody.
func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	i := newIdentities(t)
	ann := i.person("ann")
	oidc, saml := i.external(access.OIDC, 0), i.external(access.SAML, 0)
	who := func(name string) string {
		return fmt.Sprintf(`{"user":{"creation_date":0,"friendly_name":%q,"id":%q}}`, name, name)
	}
	for name, x := range map[string]struct {
		header http.Header
		user   string
	}{
		"jwt_token":        {bearer(ann.token), "ann"},
		"basic_auth":       {ann.key(), "ann"},
		"cookie_auth":      {cookieOf(ann.cookie), "ann"},
		"oidc_auth":        {cookieOf(oidc), "oidc:https:=2F=2Fidp.example.com=7Ceve"},
		"saml_auth":        {cookieOf(saml), "saml:https:=2F=2Fidp.example.com=7Ceve"},
		"an outside token": {bearer(i.outside(nil)), "oidc:https:=2F=2Fidp.example.com=7Crobot"},
	} {
		for _, f := range []*fleet{i.first, i.second} {
			f.wants(name, asked{"GET", "/api/v1/user", "", x.header}, 200, who(x.user))
			f.wants(name, asked{"GET", importPath + "?id=none", "", x.header}, 404, "")
		}
	}
	for name, header := range i.impostors(ann, oidc) {
		for _, op := range operations {
			op.header = header
			i.first.wants(name, op, 401, authN)
		}
	}
	twice := http.Header{"Authorization": append(bearer(ann.token)["Authorization"], ann.key()["Authorization"]...)}
	i.first.wants("two headers", asked{"GET", importPath, "", twice}, 400, `{"message":"Authorization: 2 headers, want one"}`)
	for _, header := range []http.Header{bearer(strings.Repeat(".", 1e6)), bearer(strings.Repeat("A", 80<<10)), cookie("oidc_auth_session", strings.Repeat("A", 80<<10))} {
		i.refusesHuge(header)
	}
	i.first.wants("after all that", asked{"GET", "/api/v1/user", "", bearer(ann.token)}, 200, who("ann"))
}

// refusesHuge sends a header that is too long to be read. The connection may be closed before all of
// it is sent.
func (i *identities) refusesHuge(header http.Header) {
	i.t.Helper()
	req, err := http.NewRequestWithContext(i.t.Context(), http.MethodGet, "http://"+i.first.api+"/api/v1/user", http.NoBody)
	expect.NoError(i.t, err)
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		i.t.Errorf("a huge header: %d", resp.StatusCode)
	}
}

// impostors returns headers that prove nobody.
func (i *identities) impostors(ann person, oidc *http.Cookie) map[string]http.Header {
	kid, secret := i.ring()
	own := payload(i.t, ann.token)
	header := fmt.Sprintf(`{"alg":"HS256","kid":%q}`, kid)
	resigned := func(c claims) http.Header { return bearer(signed(header, own.with(c), hs256(secret))) }
	i.first.wants("the same again", asked{"GET", "/api/v1/user", "", resigned(nil)}, 200, "")
	changed := []byte(ann.cookie.Value)
	changed[len(changed)/2] ^= 1
	both := cookieOf(ann.cookie)
	both["Authorization"] = bearer("bad")["Authorization"]
	return map[string]http.Header{
		"nothing":                          nil,
		"no algorithm":                     bearer(signed(fmt.Sprintf(`{"alg":"none","kid":%q}`, kid), own, func([]byte) []byte { return nil })),
		"RS256 of an attacker":             bearer(signed(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, kid), own, rs256(i.issuing))),
		"HS256 by the issuer's public key": bearer(signed(`{"alg":"HS256","kid":"k1"}`, own.with(claims{"iss": issuer, "aud": "rangefleet"}), hs256(i.publicKey()))),
		"expired":                          resigned(claims{"exp": seconds(-40 * time.Second)}),
		"no expiration":                    resigned(claims{"exp": nil}),
		"not yet":                          resigned(claims{"nbf": seconds(10 * time.Minute)}),
		"issued ahead":                     resigned(claims{"iat": seconds(10 * time.Minute)}),
		"for the auth client":              resigned(claims{"aud": "auth-client"}),
		"for a reset of a password":        resigned(claims{"aud": "reset_password"}),
		"for another service":              resigned(claims{"aud": "metrics"}),
		"of another issuer":                resigned(claims{"iss": "auth"}),
		"an outside token for others":      bearer(i.outside(claims{"aud": "metrics"})),
		"an outside token of old":          bearer(i.outside(claims{"exp": seconds(-40 * time.Second)})),
		"dots":                             bearer(strings.Repeat(".", 15<<10)),
		"a bad token and a good cookie":    both,
		"a cookie with a bit changed":      cookie(ann.cookie.Name, string(changed)),
		"a cookie of 31 days ago":          cookieOf(i.external(access.OIDC, 31*24*time.Hour)),
		"a token as a cookie":              cookie(ann.cookie.Name, ann.token),
		"a cookie of another name":         cookie("saml_auth_session", oidc.Value),
		"a long cookie":                    cookie("oidc_auth_session", base64.RawURLEncoding.EncodeToString(make([]byte, 40<<10))),
		"an expired session":               cookieOf(i.external(access.OIDC, 90*time.Minute)),
	}
}

// What is revoked or ended by one coordinator is soon worth nothing to another one.
func TestRevocationsReachAllCoordinators(t *testing.T) {
	t.Parallel()
	awkwardObjects(t)
	i := newIdentities(t)
	i.first.repository("repo", awkwardBucket)
	ann, bob, carol := i.person("ann"), i.person("bob"), i.person("carol")
	for _, p := range []person{ann, bob, carol} {
		for _, header := range []http.Header{p.key(), bearer(p.token), cookieOf(p.cookie)} {
			i.second.wants(p.name, asked{"GET", "/api/v1/user", "", header}, 200, "")
		}
	}
	i.first.workers[0].Kill() // so that imports do not go on
	start := asked{"POST", importPath, `{"paths":[{"type":"common_prefix","path":"` + awkwardSource + `","destination":"%s"}],"commit":{"message":"m"}}`, nil}
	begin := func(destination string, header http.Header) (id string) {
		r := start
		r.body, r.header = fmt.Sprintf(start.body, destination), header
		resp, text := i.first.send(r)
		id, _, ok := strings.Cut(strings.TrimPrefix(text, `{"id":"`), `"`)
		if !ok || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("start: %d %s", resp.StatusCode, text)
		}
		return id
	}
	byKey, bySession, byDeleted, ofCarol := begin("key", ann.key()), begin("session", bearer(ann.token)), begin("deleted", cookieOf(bob.cookie)), begin("carol", bearer(carol.token))

	expect.NoError(t, i.first.client.DeleteAccessKey(t.Context(), "ann", ann.id))
	expect.NoError(t, i.first.client.DeleteUser(t.Context(), "bob"))
	i.first.wants("a logout", asked{"POST", "/logout", "", cookieOf(carol.cookie)}, 204, "")
	for name, header := range map[string]http.Header{
		"the key": ann.key(), "a token of the key": bearer(ann.token), "a cookie of the key": cookieOf(ann.cookie),
		"a key of a deleted user": bob.key(), "a token of a deleted user": bearer(bob.token), "a cookie of a deleted user": cookieOf(bob.cookie),
		"a token after the logout": bearer(carol.token), "a cookie after the logout": cookieOf(carol.cookie),
	} {
		i.first.wants(name, asked{"GET", "/api/v1/user", "", header}, 401, authN)
		i.second.ended(name+", elsewhere", header)
	}
	i.second.wants("the key after the logout", asked{"GET", "/api/v1/user", "", carol.key()}, 200, "")

	expect.NoError(t, i.first.workers[0].Restart())
	for id, want := range map[string]string{
		byKey:     "user ann may not import this any more: its access key " + ann.id + " is not valid any more",
		bySession: "user ann may not import this any more: its session was revoked, or the user was deleted",
		byDeleted: "user bob may not import this any more: its session was revoked, or the user was deleted",
	} {
		i.fails(id, want)
	}
	i.first.finish("repo", "main", ofCarol) // a logout revokes nothing that was begun
}

// fails waits until an import has failed, and checks why.
func (i *identities) fails(id, want string) {
	i.t.Helper()
	expect.Within(i.t, patience, "import "+id+" failed", func(context.Context) (bool, error) {
		status := i.first.status("repo", "main", id)
		if m := status.Error.Message; m != "" && !strings.Contains(m, want) {
			return false, fmt.Errorf("%q, want %q", m, want)
		}
		if status.Completed {
			return false, fmt.Errorf("it has landed")
		}
		return status.Error.Message != "", nil
	})
}

// Pages of other web sites, and guesses without end, are refused by words that clients know.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	i := newIdentities(t)
	ann, bob := i.person("ann"), i.person("bob")
	for name, h := range map[string]http.Header{
		"cross-site":           {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example.com"}},
		"a sibling sub-domain": {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://sub.127.0.0.1:8000"}},
		"no origin":            {"Origin": {"null"}},
	} {
		for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain", "application/json"} {
			header := cookieOf(ann.cookie)
			header["Content-Type"] = []string{contentType}
			for k, v := range h {
				header[k] = v
			}
			for _, r := range []asked{operations[0], operations[2], {"POST", "/api/v1/auth/login", ann.login(), nil}, {"POST", "/logout", "", nil}} {
				r.header = header
				i.first.wants(name, r, 403, `{"message":"cross-origin request"}`)
			}
		}
	}
	form := cookieOf(ann.cookie)
	form["Content-Type"] = []string{"text/plain"}
	i.first.wants("a form of this site", asked{"POST", importPath, "{}", form}, 400, `{"message":"request body has an error: header Content-Type is \"text/plain\", want application/json"}`)
	i.first.wants("ann is still logged in", asked{"GET", "/api/v1/user", "", cookieOf(ann.cookie)}, 200, "")

	codes := i.guess(1000)
	if codes[401]+codes[429] != 1000 || codes[429] == 0 || codes[401] < 100 { // the requests from other sites have taken some of the burst
		t.Errorf("1000 guesses were answered %v", codes)
	}
	for _, header := range []http.Header{ann.key(), bearer(bob.token), cookieOf(bob.cookie)} {
		i.first.wants("beside the guesses", asked{"GET", "/api/v1/user", "", header}, 200, "")
	}
}

// guess sends wrong access keys over a number of connections, and returns how many were answered
// with each code.
func (i *identities) guess(n int) map[int]int {
	i.t.Helper()
	const connections = 40
	answers := make(chan int, n)
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			for k := c; k < n; k += connections {
				body := fmt.Sprintf(`{"access_key_id":"RF%018d","secret_access_key":"guess"}`, k)
				resp, text := i.first.send(asked{"POST", "/api/v1/auth/login", body, nil})
				if resp.StatusCode == http.StatusUnauthorized && text != authN || (resp.Header.Get("Retry-After") != "") != (resp.StatusCode == http.StatusTooManyRequests) {
					i.t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
				}
				answers <- resp.StatusCode
			}
		})
	}
	all.Wait()
	close(answers)
	codes := map[int]int{}
	for code := range answers {
		codes[code]++
	}
	return codes
}
