// Package begun carries logins in cookies while their browsers are at an identity provider, so
// that nothing is stored for a browser that only asks.
package begun

import (
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/auth/session"
)

// maxSize is the length in bytes of the longest value of a cookie that is looked at.
const maxSize = 4 << 10

// Cookie is a cookie that carries a login. It is immutable.
type Cookie struct {
	Sealer  session.Sealer
	Name    string   // without a prefix
	Purpose []string // of what is sealed
	Life    time.Duration
}

// Holding returns the cookie with a text, for connections with TLS only if secure is set. A browser
// sends it with the requests that a page of another site leads to, if they change nothing.
func (c Cookie) Holding(text string, secure bool) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without TLS, a browser would not send a secure cookie
		Name: c.nameFor(secure), Value: c.Sealer.Seal(text, c.Purpose...), Path: "/", MaxAge: int(c.Life / time.Second),
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

// nameFor returns the name of the cookie. With the prefix, no other host of the domain can set it.
func (c Cookie) nameFor(secure bool) string {
	if secure {
		return "__Host-" + c.Name
	}
	return c.Name
}

// Open returns the text that the cookie of a request holds. Of two cookies none is believed:
// another host of the domain may have set one.
func (c Cookie) Open(h http.Header, secure bool) (text string, ok bool) {
	r := http.Request{Header: h}
	found := r.CookiesNamed(c.nameFor(secure))
	if len(found) != 1 || len(found[0].Value) > maxSize || strings.ContainsAny(found[0].Value, "\r\n") {
		return "", false
	}
	text, err := c.Sealer.Open(found[0].Value, c.Purpose...)
	return text, err == nil
}
