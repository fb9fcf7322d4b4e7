package auth

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// scheme is a way to prove who one is.
type scheme int

// The schemes, in the order in which they decide.
const (
	none scheme = iota
	malformed
	jwtToken
	basicAuth
	cookieAuth
	oidcAuth
	samlAuth
)

// names are what the API calls the schemes.
var names = map[scheme]string{
	malformed: "malformed", jwtToken: "jwt_token", basicAuth: "basic_auth", cookieAuth: "cookie_auth", oidcAuth: "oidc_auth", samlAuth: "saml_auth",
}

// maxBasic is the length in bytes of the longest access key with its secret, encoded.
const maxBasic = 4 << 10

// Presented is what a request shows to prove who sent it. The zero value is nothing.
type Presented struct {
	scheme      scheme
	accessKeyID string // of basicAuth
	text        string // a secret, a token, or the value of a cookie
}

// KeyPair returns an access key with its secret, as a form shows it.
func KeyPair(accessKeyID, secret string) Presented {
	if accessKeyID == "" || secret == "" || len(accessKeyID)+len(secret) > maxBasic {
		return Presented{scheme: malformed}
	}
	return Presented{basicAuth, accessKeyID, secret}
}

// Read returns what a request presents. Of several schemes the first one decides, even if what
// it shows proves nothing: a token, an access key, and the cookies of sessions that were begun
// by an access key, by OpenID Connect and by SAML. Unknown schemes are ignored. Two Authorization
// headers are an Invalid fault.
func Read(h http.Header) (Presented, error) {
	values := h.Values("Authorization")
	if len(values) > 1 {
		return Presented{}, fault.BadField("Authorization", "%d headers, want one", len(values))
	}
	if len(values) == 1 {
		if p := authorization(values[0]); p.scheme != none {
			return p, nil
		}
	}
	return cookie(h), nil
}

// Sessions returns everything of a request that may prove a session: a token, and the cookies. It
// leaves out what is malformed.
func Sessions(h http.Header) (all []Presented) {
	for _, value := range h.Values("Authorization") {
		if p := authorization(value); p.scheme == jwtToken {
			all = append(all, p)
		}
	}
	r := http.Request{Header: h}
	for _, k := range kinds {
		for _, c := range r.CookiesNamed(string(k.kind)) {
			all = append(all, Presented{scheme: k.scheme, text: c.Value})
		}
	}
	return all
}

// IsZero reports whether nothing is presented.
func (p Presented) IsZero() bool { return p.scheme == none }

// AccessKeyID returns the access key that is presented; "" if it is something else.
func (p Presented) AccessKeyID() string { return p.accessKeyID }

// Scheme returns what the API calls the scheme, or "malformed"; "" for the zero value.
func (p Presented) Scheme() string { return names[p.scheme] }

// authorization returns what a header presents.
func authorization(value string) Presented {
	kind, text, _ := strings.Cut(strings.TrimLeft(value, " "), " ")
	text = strings.Trim(text, " ")
	switch {
	case strings.EqualFold(kind, "Bearer"):
		if text == "" || len(text) > limits.Token {
			return Presented{scheme: malformed}
		}
		return Presented{scheme: jwtToken, text: text}
	case strings.EqualFold(kind, "Basic"):
		if len(text) > maxBasic {
			return Presented{scheme: malformed}
		}
		decoded, err := base64.StdEncoding.DecodeString(text)
		id, secret, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return Presented{scheme: malformed}
		}
		return KeyPair(id, secret)
	}
	return Presented{}
}

// kinds are the cookies of sessions, in the order in which they decide.
var kinds = []struct {
	kind   session.Kind
	scheme scheme
}{{session.Internal, cookieAuth}, {session.OIDC, oidcAuth}, {session.SAML, samlAuth}}

// cookie returns what the cookies present. A cookie that is there twice is malformed: another
// site of the same domain may have set one of the two.
func cookie(h http.Header) Presented {
	r := http.Request{Header: h}
	for _, k := range kinds {
		switch found := r.CookiesNamed(string(k.kind)); {
		case len(found) > 1:
			return Presented{scheme: malformed}
		case len(found) == 1:
			return Presented{scheme: k.scheme, text: found[0].Value}
		}
	}
	return Presented{}
}
