package oidclogin

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const (
	// maxAway is how long a browser may be at the provider.
	maxAway = 10 * time.Minute
	// maxCookie is the length in bytes of the longest value of a cookie that is looked at.
	maxCookie = 4 << 10
	// cookieName is the name of the cookie of a login that was begun.
	cookieName = "rangefleet_oidc_login"
)

// begun is a login whose browser is at the provider.
type begun struct {
	State    string    `json:"state"`    // is in the answer of the provider
	Nonce    string    `json:"nonce"`    // is in the ID token
	Verifier string    `json:"verifier"` // proves to the provider that the code is for this login
	ReturnTo string    `json:"return_to"`
	Expires  time.Time `json:"expires"`
}

// cookie returns the cookie that carries a login. SameSite lets it come with the request that the
// provider sends the browser here with.
func (b begun) cookie(c Config, secure bool) *http.Cookie {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // a time of this century can be encoded
	}
	return cookie(c.Sealer.Seal(string(text), purpose(c)...), int(maxAway/time.Second), secure)
}

// Expired returns a cookie that makes a browser forget a login that it began.
func Expired(secure bool) *http.Cookie { return cookie("", -1, secure) }

func cookie(value string, maxAge int, secure bool) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without TLS, a browser would not send a secure cookie
		Name: nameOf(secure), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

// nameOf returns the name of the cookie. With the prefix, no other host of the domain can set it.
func nameOf(secure bool) string {
	if secure {
		return "__Host-" + cookieName
	}
	return cookieName
}

// purpose binds cookies to a client of a provider.
func purpose(c Config) []string { return []string{"oidc login", c.Issuer, c.ClientID} }

// open returns the login that the cookies of a request carry, unless it has expired. Of two
// cookies none is believed: another host of the domain may have set one.
func open(c Config, h http.Header, secure bool) (b begun, ok bool) {
	r := http.Request{Header: h}
	found := r.CookiesNamed(nameOf(secure))
	if len(found) != 1 || len(found[0].Value) > maxCookie || strings.ContainsAny(found[0].Value, "\r\n") {
		return begun{}, false
	}
	text, err := c.Sealer.Open(found[0].Value, purpose(c)...)
	if err != nil || json.Unmarshal([]byte(text), &b) != nil {
		return begun{}, false
	}
	return b, b.State != "" && b.Nonce != "" && b.Verifier != "" && c.Now().Before(b.Expires)
}
