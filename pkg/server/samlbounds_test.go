package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
)

// fakeSAML vouches for ann, or fails. It calls at in each call that has a context.
type fakeSAML struct {
	err error
	at  func(ctx context.Context)
}

func (f fakeSAML) Begin(returnTo string, secure bool) (string, *http.Cookie, error) {
	return "https://idp.example.com/sso", &http.Cookie{Name: "begun", Value: returnTo, Secure: secure}, f.err
}

func (f fakeSAML) Accept(ctx context.Context, _ string) error {
	f.at(ctx)
	return f.err
}

func (f fakeSAML) Finish(ctx context.Context, _ http.Header, secure bool) (auth.External, string, error) {
	f.at(ctx)
	e := auth.External{Provider: access.SAML, Issuer: "https://idp.example.com", Subject: "ann", Expires: time.Now().Add(time.Hour)}
	return e, fmt.Sprintf("/secure/%t", secure), f.err
}

func (f fakeSAML) Metadata() ([]byte, error) { return []byte("<x/>"), f.err }

// stranger is an address that sends too many requests.
const stranger = "192.0.2.77:1"

// boundedSAML returns the paths of logins by a provider, with a change of their parts.
func boundedSAML(t *testing.T, f fakeSAML, change func(*samlLogins)) http.Handler {
	t.Helper()
	if f.at == nil {
		f.at = func(context.Context) {}
	}
	a, _ := newAuthenticator(t)
	b, _ := newBrowserLogins(a)
	admit := func(w http.ResponseWriter, r *http.Request) bool {
		if r.RemoteAddr == stranger {
			refuse(w, http.StatusTooManyRequests, "too many")
		}
		return r.RemoteAddr != stranger
	}
	s := samlLogins{browserLogins: b, saml: f, admit: admit, budget: NewBudget(func(int) {}), forms: newShares(samlForms, samlShare)}
	if change != nil {
		change(&s)
	}
	mux := http.NewServeMux()
	s.route(mux)
	return mux
}

// samlRequests are one of each kind.
func samlRequests(t *testing.T) map[string]*http.Request {
	t.Helper()
	return map[string]*http.Request{
		"begin": httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sso/login-saml", nil), "accept": samlForm(t, "response"),
		"finish": httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sso/finish", nil), "metadata": httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sso/metadata", nil),
	}
}

func samlForm(t *testing.T, response string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sso/acs", strings.NewReader(url.Values{"SAMLResponse": {response}}.Encode()))
	r.Header.Set("Content-Type", formType)
	return r
}

func reply(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnAddressMayNotSendTooMuch(t *testing.T) {
	h := boundedSAML(t, fakeSAML{}, nil)
	for name, r := range samlRequests(t) {
		r.RemoteAddr = stranger
		if w := reply(h, r); w.Code != http.StatusTooManyRequests {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// What fails for another reason than the login is no failed login.
func TestASAMLProviderThatFailsIsNoFailedLogin(t *testing.T) {
	h := boundedSAML(t, fakeSAML{err: errors.New("away")}, nil)
	for name, r := range samlRequests(t) {
		if w := reply(h, r); w.Code != http.StatusServiceUnavailable || len(w.Result().Cookies()) > 0 || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
}

// A form ends in time, though other requests have longer, and all of an answer has a time.
func TestSAMLAnswersComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var until []time.Time
		h := boundedSAML(t, fakeSAML{at: func(ctx context.Context) {
			at, _ := ctx.Deadline()
			until = append(until, at)
		}}, nil)
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, samlForm(t, "response"))
		reply(h, samlRequests(t)["finish"])
		if want := time.Now().Add(10 * time.Second); !w.read.Equal(want) {
			t.Errorf("a form has until %v, want %v", w.read, want)
		}
		if want := time.Now().Add(api.AnswerWithin); len(until) != 2 || !until[0].Equal(want) || !until[1].Equal(want) {
			t.Errorf("the answers have until %v, want %v", until, want)
		}
	})
}

// The memory of a response is reserved while it is checked.
func TestResponsesReserveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reserved, checked := 0, 0
		budget := newBudget(4*forResponse, func(n int) { reserved += n })
		h := boundedSAML(t, fakeSAML{at: func(context.Context) { checked = reserved }}, func(s *samlLogins) { s.budget = budget })
		if w := reply(h, samlForm(t, "response")); w.Code != http.StatusSeeOther || checked != forResponse || reserved != 0 {
			t.Errorf("%d, %d bytes were reserved and %d still are", w.Code, checked, reserved)
		}
		release, err := budget.take(t.Context(), 3*forResponse)
		if err != nil {
			t.Fatal(err)
		}
		if w := reply(h, samlForm(t, "response")); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("without memory: %d %v %s", w.Code, w.Header(), w.Body)
		}
		release()
	})
}

// An address that sends slowly keeps no other one out, behind a proxy either.
func TestResponsesWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forms := newShares(samlForms, samlShare)
		h := boundedSAML(t, fakeSAML{}, func(s *samlLogins) {
			s.forms, s.proxies = forms, Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		})
		for range samlShare {
			if _, ok := forms.acquire(t.Context(), "192.0.2.1", 0); !ok {
				t.Fatal("no slot")
			}
		}
		for _, x := range []struct {
			peer, forwarded string
			code            int
		}{
			{"192.0.2.1:1", "", http.StatusTooManyRequests},
			{"10.0.0.1:1", "192.0.2.1", http.StatusTooManyRequests},
			{"192.0.2.2:1", "192.0.2.1", http.StatusSeeOther},
			{"10.0.0.1:1", "192.0.2.2", http.StatusSeeOther},
		} {
			r := samlForm(t, "response")
			r.RemoteAddr = x.peer
			r.Header.Set("X-Forwarded-For", x.forwarded)
			if w := reply(h, r); w.Code != x.code || (w.Header().Get("Retry-After") != "") != (x.code == http.StatusTooManyRequests) {
				t.Errorf("%s of %s: %d %v", x.peer, x.forwarded, w.Code, w.Header())
			}
		}
	})
}

// A browser that used HTTPS gets cookies for that alone.
func TestSAMLLoginsByHTTPS(t *testing.T) {
	h := boundedSAML(t, fakeSAML{}, nil)
	for _, secure := range []bool{false, true} {
		for _, name := range []string{"begin", "finish"} {
			r := samlRequests(t)[name]
			if secure {
				r.TLS = &tls.ConnectionState{}
			}
			w := reply(h, r)
			if c := w.Result().Cookies(); len(c) != 1 || c[0].Secure != secure {
				t.Errorf("%s, secure %t: cookies %v", name, secure, c)
			}
			if to := w.Header().Get("Location"); name == "finish" && to != fmt.Sprintf("/secure/%t", secure) {
				t.Errorf("a login that was begun with secure %t is looked for by %s", secure, to)
			}
		}
	}
}

// A form that cannot be read as a whole is not read in part.
func TestBrokenForms(t *testing.T) {
	h := boundedSAML(t, fakeSAML{}, nil)
	for _, body := range []string{"SAMLResponse=response&x=%zz", "SAMLResponse=response;x=y", "SAMLResponse=response&x=" + strings.Repeat("x", maxForm)} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sso/acs", strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		wantInvalid(t, body[:20], reply(h, r).Result())
	}
}

func TestReturnPathsOfSAMLLoginsStayHere(t *testing.T) {
	h := boundedSAML(t, fakeSAML{}, nil)
	for returnTo, want := range map[string]string{"": "/", "//evil": "/", "/%5Cevil": "/", "javascript:alert(1)": "/", "/a%3Fb": "/a?b"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sso/login-saml?return_to="+returnTo, nil)
		if c := reply(h, r).Result().Cookies(); len(c) != 1 || c[0].Value != want {
			t.Errorf("%s returns to %v", returnTo, c)
		}
	}
}

// A client that sends a form to the end reads its answer, whether or not the form is read. Of one that
// is too long, no more is read than the longest has.
func TestFormsAreReadToTheirEnd(t *testing.T) {
	const size = maxForm + 1<<20
	h := boundedSAML(t, fakeSAML{}, nil)
	for _, contentType := range []string{formType, "text/plain"} {
		body := strings.NewReader(strings.Repeat("x", size))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sso/acs", io.NopCloser(body))
		r.Header.Set("Content-Type", contentType)
		code := reply(h, r).Code
		if read := size - body.Len(); code != http.StatusBadRequest || read < maxForm || read > maxForm+1 {
			t.Errorf("%s: %d, and %d bytes were read, want %d", contentType, code, read, maxForm)
		}
	}
}
