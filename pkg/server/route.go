package server

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// noEndpoint is the message for a path that no operation has.
const noEndpoint = "invalid API endpoint"

// unrouted answers requests that match no pattern: 405 if the path exists with another
// method, else 404. A ServeMux would answer the first itself, but not in JSON.
func unrouted(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowed := allowedMethods(mux, r)
		if len(allowed) == 0 {
			refuse(w, http.StatusNotFound, noEndpoint)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		refuse(w, http.StatusMethodNotAllowed, "method not allowed")
	}
}

// allowedMethods returns the methods that the path of r has in mux.
func allowedMethods(mux *http.ServeMux, r *http.Request) (allowed []string) {
	for _, m := range []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut,
	} {
		if _, pattern := mux.Handler(&http.Request{Method: m, URL: r.URL, Host: r.Host}); pattern != "/" {
			allowed = append(allowed, m)
		}
	}
	return allowed
}

// cleanPath answers 404 to paths that are not clean. A ServeMux would redirect to the clean
// path, which may name something else, or take an escaped ".." for a name.
func cleanPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		if hasDots(r.URL.Path) || strings.TrimSuffix(escaped, "/") != strings.TrimSuffix(path.Clean(escaped), "/") {
			refuse(w, http.StatusNotFound, noEndpoint)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hasDots reports whether a segment of a path is "." or "..".
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// plainPath returns the path of a URL with only those characters escaped that must be: as a mux, which
// decodes the segments, compares it with its patterns.
func plainPath(u *url.URL) string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		if decoded, err := url.PathUnescape(s); err == nil {
			segments[i] = url.PathEscape(decoded)
		}
	}
	return strings.Join(segments, "/")
}

// importRoute matches the path of the operations on imports.
var importRoute = regexp.MustCompile(`^` + api.BaseURL + `/(imports|repositories/[^/]+/branches/[^/]+/import)$`)

// verifyRoute matches the path of the operations that verify trees, which lakeFS does not have.
var verifyRoute = regexp.MustCompile(`^` + api.BaseURL + `/repositories/[^/]+/metaranges/[^/]+/(verification|comparison)$`)

// trialsPath is that of the trials of sources, which a lakeFS server does not have either.
const trialsPath = api.BaseURL + "/sources/trials"

// noTrials is why sources are not tried beside a lakeFS server.
const noTrials = "trySource is not supported beside a lakeFS server, which does not say who may read a source: run rangectl doctor --config FILE where the coordinator runs"

// besideLakeFS are the operations that are served beside a lakeFS server, which judges their callers.
var besideLakeFS = map[string]bool{
	"importStart": true, "importStatus": true, "importCancel": true, "listImports": true,
	"verifyMetaRange": true, "compareMetaRange": true,
}

// importsAlone answers 404 to all operations of the API but those besideLakeFS: the others are those
// of a lakeFS server. What the mux makes of a path decides, and not how the path is spelled: the mux
// decodes its segments.
func importsAlone(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		p := plainPath(r.URL)
		served := besideLakeFS[operationOf(pattern)] || pattern == "/" && (importRoute.MatchString(p) || verifyRoute.MatchString(p)) // another method
		switch {
		case r.URL.Path == trialsPath:
			refuse(w, http.StatusNotImplemented, noTrials)
		case strings.HasPrefix(r.URL.Path, api.BaseURL+"/") && !served:
			refuse(w, http.StatusNotFound, noEndpoint+": it is one of the lakeFS server")
		default:
			mux.ServeHTTP(w, r)
		}
	})
}
