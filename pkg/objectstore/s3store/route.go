package s3store

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

// route is where, and signed for what, the SDK sends the requests for a bucket. It is
// immutable.
type route struct {
	url   url.URL // without a query
	host  string  // the Host header
	path  string  // escaped, as it is sent
	scope sigv4.Scope
}

// knownHeaders are the headers that the SDK signs in a request for a page. A request
// with others is for a bucket of another kind.
var knownHeaders = map[string]bool{
	"accept-encoding": true, "amz-sdk-invocation-id": true, "amz-sdk-request": true, "host": true,
	"x-amz-content-sha256": true, "x-amz-date": true, "x-amz-security-token": true,
}

// routeOf returns the route of a signed request, or nil if a page cannot be requested
// in the same way without the SDK.
func routeOf(r *http.Request) *route {
	const algorithm = "AWS4-HMAC-SHA256 Credential="
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm)
	credential, rest, ok2 := strings.Cut(rest, ", SignedHeaders=")
	headers, _, ok3 := strings.Cut(rest, ",")
	if !ok || !ok2 || !ok3 || r.URL.Opaque != "" {
		return nil
	}
	for name := range strings.SplitSeq(headers, ";") {
		if !knownHeaders[name] {
			return nil
		}
	}
	parts := strings.Split(credential, "/") // ID/day/region/service/aws4_request
	port, known := map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	if len(parts) < 5 || !known {
		return nil
	}
	to := &route{
		url:   *r.URL,
		host:  strings.TrimSuffix(cmp.Or(r.Host, r.URL.Host), ":"+port),
		path:  cmp.Or(r.URL.EscapedPath(), "/"),
		scope: sigv4.Scope{Region: parts[len(parts)-3], Service: parts[len(parts)-2]},
	}
	to.url.RawQuery = ""
	if !plain(to.host) { // net/http sends it in another form
		return nil
	}
	return to
}

// plain reports whether text is ASCII that may stand in a header, and holds no
// zone of an address.
func plain(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }) < 0
}
