package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Paths that are not clean are not found, however they are escaped, and are not redirected.
func TestUncleanPaths(t *testing.T) {
	f := newFixture(t)
	for _, target := range []string{
		"/api/v1/../v1/repositories", "/api/v1/./repositories", "/api/v1/repositories/..", "/..", "/../api/v1/repositories",
		"/api/v1/repositories/%2e%2e", "/api/v1/repositories/%2E./branches", "/api/v1/repositories/lake/branches/%2e%2e%2fmain",
		"/api/v1/repositories/lake/refs/main%2f..%2fmain/commits", "/api/v1/repositories/%2e",
		"//api/v1/repositories", "/api/v1//repositories", "/api/v1/repositories//", "/_health/../_ready", "//", "/%2e%2e/_health",
	} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			w := f.do(method, target, "", nil)
			got := strings.TrimSpace(w.Body.String())
			if w.Code != 404 || got != `{"message":"invalid API endpoint"}` || w.Header().Get("Location") != "" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %d %v %s", method, target, w.Code, w.Header(), got)
			}
		}
	}
	for _, target := range []string{"/api/v1/repositories/..lake", "/api/v1/repositories/a..b/branches/main", "/api/v1/repositories/%2e%2e%2e"} {
		if w := f.do("GET", target, "", nil); w.Code != 404 || !strings.Contains(w.Body.String(), "repository not found") {
			t.Errorf("%s: %d %s, want the name to be looked up", target, w.Code, w.Body)
		}
	}
}

// Every path of the API allows the methods that api/openapi.yaml has for it, and HEAD where
// that has GET.
func TestAllow(t *testing.T) {
	f := newFixture(t)
	want := map[string][]string{"/_health": {"GET", "HEAD"}, "/_ready": {"GET", "HEAD"}, "/metrics": {"GET", "HEAD"}}
	operations(t, func(_, method, target, _ string) {
		if want[target] = append(want[target], method); method == "GET" {
			want[target] = append(want[target], "HEAD")
		}
	})
	for _, op := range refusals() { // with a path that other operations have, too
		target := names.Replace(op.path) + query
		if want[target] != nil {
			want[target] = append(want[target], op.method)
		}
	}
	for target, methods := range want {
		if strings.Contains(target, "ranges?") { // there may be a branch of that name
			methods = append(methods, want["/api/v1/repositories/lake/branches/main?path=a&ref=a&task_id=a"]...)
		}
		slices.Sort(methods)
		methods = slices.Compact(methods)
		for _, method := range []string{"BREW", "OPTIONS", "TRACE", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			w := f.do(method, target, "", nil)
			if slices.Contains(methods, method) {
				if w.Code == 405 || w.Header().Get("Allow") != "" {
					t.Errorf("%s %s: %d, Allow %q", method, target, w.Code, w.Header().Get("Allow"))
				}
				continue
			}
			if got := w.Header().Values("Allow"); w.Code != 405 || len(got) != 1 || got[0] != strings.Join(methods, ", ") {
				t.Errorf("%s %s: %d, Allow %q, want %q", method, target, w.Code, got, methods)
			}
		}
	}
}

// Programs are told how to authenticate. A browser with a cookie is not, so that it shows no
// dialog.
func TestUnauthorizedSaysHowToAuthenticate(t *testing.T) {
	f := newFixture(t)
	for _, x := range []struct {
		header http.Header
		want   string
	}{
		{http.Header{"Authorization": nil}, `Basic realm="rangefleet", charset="UTF-8"`},
		{http.Header{"Authorization": {basic(testKey, "wrong")}}, `Basic realm="rangefleet", charset="UTF-8"`},
		{http.Header{"Authorization": nil, "Cookie": {"internal_auth_session=x"}}, ""},
	} {
		operations(t, func(id, method, target, body string) {
			if w := f.do(method, target, body, x.header); w.Code != 401 || w.Header().Get("WWW-Authenticate") != x.want {
				t.Errorf("%s with %v: %d, WWW-Authenticate %q, want %q", id, x.header, w.Code, w.Header().Get("WWW-Authenticate"), x.want)
			}
		})
	}
	if w := f.do("GET", "/api/v1/repositories", "", nil); w.Header().Get("WWW-Authenticate") != "" {
		t.Error("an authenticated client is told how to authenticate")
	}
}
