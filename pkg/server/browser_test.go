package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// newAuthenticator returns an authenticator with users of its own.
func newAuthenticator(t *testing.T) (*auth.Authenticator, *users.Store) {
	t.Helper()
	bucket := &kvtest.Memory{}
	sealer, err := auth.OpenSealer(t.Context(), bucket)
	expect.NoError(t, err)
	ring, err := token.OpenRing(t.Context(), bucket, time.Now)
	expect.NoError(t, err)
	known := users.New(users.Config{Bucket: bucket, Now: time.Now})
	return auth.NewAuthenticator(auth.Config{
		Users: known, Tokens: ring, Sealer: sealer,
		Groups: func(string, map[string][]string) []string { return nil }, Now: time.Now,
	}), known
}

func newBrowserLogins(a Authenticator) (browserLogins, *transcript.Buffer) {
	log := &transcript.Buffer{}
	return browserLogins{of: newReceiver(Config{
		Auth: a, Ready: func(context.Context) error { return nil }, Now: time.Now,
		Log: slog.New(slog.NewJSONHandler(log, nil)), Registerer: prometheus.NewRegistry(),
	})}, log
}

var annOfIDP = auth.External{Provider: access.OIDC, Issuer: "https://idp.example.com", Subject: "ann", Expires: time.Now().Add(time.Hour)}

func TestALoginOfABrowserBeginsASession(t *testing.T) {
	a, _ := newAuthenticator(t)
	b, _ := newBrowserLogins(a)
	for target, secure := range map[string]bool{"http://fleet/callback": false, "https://fleet/callback": true} {
		w := httptest.NewRecorder()
		b.complete(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil), annOfIDP, "/wanted?x=1")
		cookies := w.Result().Cookies()
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/wanted?x=1" ||
			len(cookies) != 1 || cookies[0].Secure != secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("%s: %d %v", target, w.Code, w.Header())
		}
		shown, err := auth.Read(http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}})
		expect.NoError(t, err)
		if c, err := a.Authenticate(t.Context(), shown); err != nil || c.User != "oidc:https:=2F=2Fidp.example.com=7Cann" {
			t.Errorf("%s: the session is of %q, %v", target, c.User, err)
		}
	}
}

type noSessions struct {
	Authenticator
	err error
}

func (s noSessions) BeginExternal(context.Context, auth.External) (auth.Begun, error) {
	return auth.Begun{}, s.err
}

func TestALoginReturnsNowhereElse(t *testing.T) {
	a, _ := newAuthenticator(t)
	b, _ := newBrowserLogins(a)
	w := httptest.NewRecorder()
	b.complete(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/callback", nil), annOfIDP, "//evil")
	if to := w.Header().Get("Location"); to != "/" {
		t.Errorf("the browser goes to %s", to)
	}
}

func TestALoginThatFailsSaysWhyInTheLogAlone(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
	}{
		{fmt.Errorf("%w: because", auth.ErrUnauthenticated), http.StatusBadRequest},
		{fault.Conflicting("because"), http.StatusBadRequest},
		{fault.Unavailable("idp", "because"), http.StatusServiceUnavailable},
		{errors.New("because"), http.StatusServiceUnavailable},
		{fault.Forbid("because"), http.StatusForbidden},
	} {
		b, log := newBrowserLogins(noSessions{err: tc.err})
		w := httptest.NewRecorder()
		b.complete(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/callback", nil), annOfIDP, "/")
		if w.Code != tc.code || len(w.Header()["Set-Cookie"]) > 0 || w.Header().Get("Location") != "" {
			t.Errorf("%v: %d %v", tc.err, w.Code, w.Header())
		}
		if body := strings.TrimSpace(w.Body.String()); tc.code == http.StatusBadRequest && (body != `{"message":"invalid login"}` || !strings.Contains(log.String(), "because")) {
			t.Errorf("%v: answer %s, log %s", tc.err, body, log)
		}
	}
}

// elsewhere are paths that some browser takes for another address.
var elsewhere = []string{
	"", "x", "//evil", "///evil", "/\\evil", "\\\\evil", "/\t/evil", "/\n/evil", " /x", "/ /x", "https://evil", "https:/evil", "https:evil", "javascript:alert(1)",
	"/x\\..\\evil", "/\x00", "/\x7f", "/é", "?x", "#x", "/%", "/x\r\nSet-Cookie: a=b",
}

func TestReturnPathsStayHere(t *testing.T) {
	for _, text := range elsewhere {
		if got := returnPath(text); got != "/" {
			t.Errorf("%q leads to %q", text, got)
		}
	}
	for _, text := range []string{"/", "/x", "/repositories/lake?ref=main#objects", "/x//y", "/x:y", "/@x", "/x?to=//y"} {
		if got := returnPath(text); got != text {
			t.Errorf("%q leads to %q", text, got)
		}
	}
}

func FuzzReturnPath(f *testing.F) {
	for _, text := range append(elsewhere, "/x?y#z") {
		f.Add(text)
	}
	base, _ := url.Parse("https://fleet.example.com/oidc/callback")
	f.Fuzz(func(t *testing.T, text string) {
		path := returnPath(text)
		for _, c := range []byte(path) {
			if c <= ' ' || c > '~' || c == '\\' {
				t.Fatalf("%q leads to %q", text, path)
			}
		}
		if u, err := base.Parse(path); err != nil || u.Scheme != "https" || u.Host != base.Host {
			t.Errorf("%q leads to %v, %v", text, u, err)
		}
	})
}
