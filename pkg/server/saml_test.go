package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin/samltest"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// samlServer is a server with logins at a SAML identity provider.
type samlServer struct {
	http.Handler
	auth     *auth.Authenticator
	users    *users.Store
	provider *samltest.Provider
	now      time.Time // of all logins: forgeries miss by a second
	log      *transcript.Buffer
}

func newSAMLServer(t *testing.T) samlServer {
	t.Helper()
	const publicURL = "http://fleet"
	bucket := &kvtest.Memory{}
	sealer, err := auth.OpenSealer(t.Context(), bucket)
	expect.NoError(t, err)
	key, err := samllogin.OpenKey(t.Context(), bucket, time.Now)
	expect.NoError(t, err)
	now := time.Now()
	provider := samltest.New("https://idp.example.com", now)
	clock := func() time.Time { return now }
	logins, err := samllogin.New(samllogin.Config{PublicURL: publicURL, Key: key, Sealer: sealer, Used: once.New(bucket, clock), Now: clock}, []byte(provider.Metadata()))
	expect.NoError(t, err)
	a, known := newAuthenticator(t)
	b, log := newBrowserLogins(a)
	mux := http.NewServeMux()
	admitted := func(http.ResponseWriter, *http.Request) bool { return true }
	samlLogins{browserLogins: b, saml: logins, admit: admitted, budget: NewBudget(func(int) {}), forms: newShares(2, 2)}.route(mux)
	return samlServer{sameOrigin(publicURL, func(http.ResponseWriter, *http.Request) bool { return true }, mux), a, known, provider, now, log}
}

// get sends a GET with the cookies of an earlier answer.
func (s samlServer) get(t *testing.T, path string, cookies []*http.Cookie) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://fleet"+path, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return s.send(r)
}

// post sends a form as a page of the provider does.
func (s samlServer) post(t *testing.T, form url.Values) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://fleet/sso/acs", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://idp.example.com")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return s.send(r)
}

func (s samlServer) send(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// begin begins a login, and returns what the provider would say of a user, and the cookies.
func (s samlServer) begin(t *testing.T, user, returnTo string) (samltest.Login, []*http.Cookie) {
	t.Helper()
	a := s.get(t, "/sso/login-saml?return_to="+url.QueryEscape(returnTo), nil)
	if a.StatusCode != http.StatusSeeOther || len(a.Cookies()) != 1 {
		t.Fatalf("a login begins with %d %v", a.StatusCode, a.Header)
	}
	l := samltest.Answer(a.Header.Get("Location"), s.now)
	l.NameID, l.Values = user, map[string][]string{"groups": {"team-a"}}
	return l, a.Cookies()
}

func (s samlServer) respond(t *testing.T, response string) *http.Response {
	t.Helper()
	return s.post(t, url.Values{"SAMLResponse": {samltest.Encode(response)}})
}

// wantInvalid checks that a login failed, and that the answer says nothing but that.
func wantInvalid(t *testing.T, what string, a *http.Response) {
	t.Helper()
	body, err := io.ReadAll(a.Body)
	expect.NoError(t, err)
	if got := strings.TrimSpace(string(body)); a.StatusCode != http.StatusBadRequest || got != `{"message":"invalid login"}` || len(a.Cookies()) > 0 {
		t.Errorf("%s: %d %s, cookies %v", what, a.StatusCode, got, a.Cookies())
	}
}

func TestASAMLLoginBeginsASession(t *testing.T) {
	s := newSAMLServer(t)
	for returnTo, want := range map[string]string{"/wanted?x=1": "/wanted?x=1", "//evil.example.com": "/"} {
		l, cookies := s.begin(t, "admin", returnTo)
		accepted := s.respond(t, s.provider.Respond(l))
		if accepted.StatusCode != http.StatusSeeOther || accepted.Header.Get("Location") != "/sso/finish" || len(accepted.Cookies()) > 0 {
			t.Fatalf("the response is answered with %d %v", accepted.StatusCode, accepted.Header)
		}
		finished := s.get(t, "/sso/finish", cookies)
		if finished.StatusCode != http.StatusSeeOther || finished.Header.Get("Location") != want || len(finished.Cookies()) != 1 {
			t.Fatalf("the login ends with %d %v", finished.StatusCode, finished.Header)
		}
		session := finished.Cookies()[0]
		shown, err := auth.Read(http.Header{"Cookie": {session.Name + "=" + session.Value}})
		expect.NoError(t, err)
		if c, err := s.auth.Authenticate(t.Context(), shown); err != nil || session.Name != "saml_auth_session" || c.User != "saml:https:=2F=2Fidp.example.com=7Cadmin" {
			t.Errorf("%s is a session of %q, %v", session.Name, c.User, err)
		}
		wantInvalid(t, "again", s.get(t, "/sso/finish", cookies))
		wantInvalid(t, "replay", s.respond(t, s.provider.Respond(l)))
	}
}

func TestForgedResponsesBeginNoSession(t *testing.T) {
	s := newSAMLServer(t)
	for _, forgery := range samltest.Forgeries() {
		l, cookies := s.begin(t, "ann", "/")
		wantInvalid(t, forgery.Name, s.respond(t, forgery.Make(s.provider, l)))
		wantInvalid(t, forgery.Name+", then finished", s.get(t, "/sso/finish", cookies))
	}
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "Signature>") || len(line) > 1000 {
			t.Errorf("the log holds parts of responses: %.2000s", line)
		}
	}
}

// A name that means something in a policy, or that of a local user with a space, is that of nobody.
func TestAProviderNamesNobodyElse(t *testing.T) {
	s := newSAMLServer(t)
	for _, name := range []string{"", "*", "${user}", "a/b", "admin ", "x\ny", strings.Repeat("a", 300)} {
		l, cookies := s.begin(t, name, "/")
		wantInvalid(t, name, s.respond(t, s.provider.Respond(l)))
		wantInvalid(t, name+", then finished", s.get(t, "/sso/finish", cookies))
	}
	if all, _, err := s.users.List(t.Context(), "", "", 10); err != nil || len(all) > 0 {
		t.Errorf("there are the users %+v, %v", all, err)
	}
}

func TestASAMLLoginIsOfOneBrowser(t *testing.T) {
	s := newSAMLServer(t)
	l, _ := s.begin(t, "mallory", "/")
	_, victim := s.begin(t, "ann", "/")
	if a := s.respond(t, s.provider.Respond(l)); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d", a.StatusCode)
	}
	wantInvalid(t, "a browser that began another login", s.get(t, "/sso/finish", victim))
	wantInvalid(t, "a browser that began none", s.get(t, "/sso/finish", nil))
}

func TestFormsThatHoldNoResponse(t *testing.T) {
	s := newSAMLServer(t)
	l, _ := s.begin(t, "ann", "/")
	good := samltest.Encode(s.provider.Respond(l))
	for what, form := range map[string]url.Values{
		"none": {}, "empty": {"SAMLResponse": {""}}, "two": {"SAMLResponse": {good, good}}, "another name": {"SAMLRequest": {good}},
		"not Base64": {"SAMLResponse": {"%%"}}, "too long": {"SAMLResponse": {strings.Repeat("A", maxForm)}},
	} {
		wantInvalid(t, what, s.post(t, form))
	}
	wantInvalid(t, "in the query", s.send(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://fleet/sso/acs?SAMLResponse="+url.QueryEscape(good), nil)))
	if a := s.get(t, "/sso/acs?SAMLResponse="+url.QueryEscape(good), nil); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.StatusCode)
	}
	if a := s.respond(t, s.provider.Respond(l)); a.StatusCode != http.StatusSeeOther {
		t.Errorf("after all these: %d", a.StatusCode)
	}
}

func TestTheProviderIsToldWhatItMustKnow(t *testing.T) {
	a := newSAMLServer(t).get(t, "/sso/metadata", nil)
	body, err := io.ReadAll(a.Body)
	expect.NoError(t, err)
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/samlmetadata+xml" || !strings.Contains(string(body), `Location="http://fleet/sso/acs"`) {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, body)
	}
}
