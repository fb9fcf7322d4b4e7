package node_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin/samltest"
	"github.com/rangefleet/rangefleet/pkg/node"
)

// samlBrowser is a browser, whose user a SAML identity provider knows.
type samlBrowser struct {
	*http.Client
	t   *testing.T
	api string
}

func newSAMLBrowser(t *testing.T, api string) samlBrowser {
	jar, err := cookiejar.New(nil)
	expect.NoError(t, err)
	return samlBrowser{&http.Client{
		Jar: jar, Timeout: expect.Patience, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t, api}
}

// answer returns the status of an answer, and where it leads.
func (b samlBrowser) answer(a *http.Response, err error) (code int, location string) {
	b.t.Helper()
	expect.NoError(b.t, err)
	expect.NoError(b.t, a.Body.Close())
	return a.StatusCode, a.Header.Get("Location")
}

func (b samlBrowser) get(path string) (code int, location string) {
	b.t.Helper()
	return b.answer(b.Get(b.api + path))
}

// login returns the status of the answer to a provider's response, and of that to which it leads.
func (b samlBrowser) login(p *samltest.Provider, user, group string) (accepted, finished int) {
	b.t.Helper()
	_, location := b.get("/sso/login-saml")
	l := samltest.Answer(location, time.Now())
	l.NameID, l.Values = user, map[string][]string{"groups": {group}}
	accepted, next := b.answer(b.PostForm(b.api+"/sso/acs", url.Values{"SAMLResponse": {samltest.Encode(p.Respond(l))}}))
	if next == "" {
		return accepted, 0
	}
	finished, _ = b.get(next)
	return accepted, finished
}

// logsIn checks how a login and what it leads to are answered.
func (b samlBrowser) logsIn(p *samltest.Provider, user, group string, accepted, finished int) {
	b.t.Helper()
	if a, f := b.login(p, user, group); a != accepted || f != finished {
		b.t.Errorf("the login of %s in %s is answered with %d and %d, want %d and %d", user, group, a, f, accepted, finished)
	}
}

// sees checks with which status a path is answered.
func (b samlBrowser) sees(path string, want int) {
	b.t.Helper()
	if code, _ := b.get(path); code != want {
		b.t.Errorf("%s is answered with %d, want %d", path, code, want)
	}
}

// TestUsersOfASAMLProviderLogIn has users in a group by what the provider says of them. A hangup
// makes the coordinator trust another provider.
func TestUsersOfASAMLProviderLogIn(t *testing.T) {
	const issuer, repository = "https://idp.example.com", "/api/v1/repositories/unknown"
	dir := t.TempDir()
	s := config(t.TempDir())
	s.HTTP.PublicURL, s.Access.File, s.Auth.SAML.MetadataFile = "http://imports.example.com", filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "idp.xml")
	expect.NoError(t, os.WriteFile(s.Access.File, fmt.Appendf(nil, "groups: [{id: Team, policies: [FSReadAll]}]\nmappings: [{issuer: %q, claim: groups, value: team-a, group: Team}]", issuer), 0o600))
	s.Auth.SAML.RequiredAttributes = []string{"groups=team-a"}
	trust := func(text string) { expect.NoError(t, os.WriteFile(s.Auth.SAML.MetadataFile, []byte(text), 0o600)) }
	trust("<none/>")
	if _, err := launch(t, node.Coordinator, s); err == nil || !strings.Contains(err.Error(), "auth.saml.metadata_file "+s.Auth.SAML.MetadataFile) {
		t.Errorf("metadata that are none: %v", err)
	}
	now := time.Now().Truncate(time.Second)
	first, second := samltest.New(issuer, now), samltest.New(issuer, now.Add(time.Hour))
	trust(first.Metadata())
	p := start(t, node.Coordinator, s)
	defer p.end()

	if key := p.certificateEnd("saml"); key.Before(now.AddDate(19, 0, 0)) {
		t.Errorf("the key ends at %v", key)
	}
	if end := p.certificateEnd("saml_idp"); !end.Equal(now.Add(24 * time.Hour)) {
		t.Errorf("the first provider's certificate ends at %v", end)
	}

	b := newSAMLBrowser(t, p.info.API)
	b.sees(repository, 401)
	b.logsIn(first, "ann", "team-a", 303, 303)
	b.sees(repository, 404)                                                // the group may look for it
	newSAMLBrowser(t, p.info.API).logsIn(first, "eve", "team-b", 303, 403) // the attribute is missing
	if code, text := p.ask("GET", "/api/v1/auth/users", p.info.AccessKeyID, p.info.SecretAccessKey, ""); code != 200 || !strings.Contains(text, `"saml:https:=2F=2Fidp.example.com=7Cann"`) || strings.Contains(text, "eve") {
		t.Errorf("users: %d %s", code, text)
	}

	for _, step := range []struct {
		metadata, log string
		provider      *samltest.Provider
	}{{second.Metadata(), "are in force", second}, {"<none/>", "are refused", second}} {
		trust(step.metadata)
		expect.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		expect.Eventually(t, "the log says that metadata "+step.log, func() bool {
			return strings.Contains(p.log.String(), "metadata of the SAML identity provider "+step.log)
		})
		if accepted, _ := newSAMLBrowser(t, p.info.API).login(step.provider, "bob", "team-a"); accepted != 303 {
			t.Errorf("metadata %s: a login is answered with %d", step.log, accepted)
		}
		expect.Eventually(t, "the metrics show when the provider's certificate ends", func() bool {
			return p.certificateEnd("saml_idp").Equal(now.Add(25 * time.Hour))
		})
	}
	if accepted, _ := newSAMLBrowser(t, p.info.API).login(first, "bob", "team-a"); accepted != 400 {
		t.Errorf("a login at the provider before is answered with %d", accepted)
	}
	if log := p.log.String(); strings.Contains(log, "SAMLRe") || strings.Contains(log, "Signature>") {
		t.Errorf("the log holds responses:\n%s", log)
	}
}

// certificateEnd returns when a certificate expires by the metrics of a process.
func (p *process) certificateEnd(use string) time.Time {
	p.t.Helper()
	_, text := p.ask("GET", "/metrics", "", "", "")
	_, value, _ := strings.Cut(text, fmt.Sprintf(`rangefleet_certificate_not_after_timestamp_seconds{fleet="test",use=%q} `, use))
	value, _, _ = strings.Cut(value, "\n")
	seconds, err := strconv.ParseFloat(value, 64)
	expect.NoError(p.t, err)
	return time.Unix(int64(seconds), 0)
}
