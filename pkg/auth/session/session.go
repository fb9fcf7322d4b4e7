// Package session carries sessions in cookies. A cookie holds the user and the ID of a session,
// encrypted for the cookie's name. What the session is worth is stored with the user.
package session

import (
	"net/http"
	"strings"
	"time"
)

// Kind says by what kind of login a session was begun. It is the name of the cookie.
type Kind string

// The kinds of sessions.
const (
	Internal Kind = "internal_auth_session" // by an access key
	OIDC     Kind = "oidc_auth_session"
	SAML     Kind = "saml_auth_session"
)

// Kinds returns all kinds of sessions.
func Kinds() []Kind { return []Kind{Internal, OIDC, SAML} }

const (
	// MaxLife is how long a session lasts at most.
	MaxLife = 8 * time.Hour
	// maxSize is the length in bytes of the longest value of a cookie that is looked at.
	maxSize = 4 << 10
)

// Sealer encrypts and authenticates text for a purpose.
type Sealer interface {
	// Seal returns a text that Open opens only for the same purpose.
	Seal(text string, purpose ...string) string
	// Open returns what was sealed, or an error.
	Open(sealed string, purpose ...string) (string, error)
}

// purpose starts those of Sealer.
const purpose = "session cookie"

// separator is in no session's ID. The ID comes first.
const separator = " "

// Cookie returns the cookie of a session, which lasts until a time. It is for connections with
// TLS only if secure is set.
func Cookie(s Sealer, kind Kind, user, id string, now, until time.Time, secure bool) *http.Cookie {
	left := max(1, int(until.Sub(now)/time.Second)) // 0 would be: as long as the browser runs
	return cookie(kind, s.Seal(id+separator+user, purpose, string(kind)), left, secure)
}

// Expired returns a cookie that makes a browser forget the one of a session.
func Expired(kind Kind, secure bool) *http.Cookie { return cookie(kind, "", -1, secure) }

func cookie(kind Kind, value string, maxAge int, secure bool) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without TLS, a browser would not send a secure cookie
		Name: string(kind), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

// Open returns the user and the ID of the session of a cookie's value. ok is false for a value
// that Cookie did not make for that kind.
func Open(s Sealer, kind Kind, value string) (user, id string, ok bool) {
	if len(value) > maxSize || strings.ContainsAny(value, "\r\n") { // a decoder would ignore line breaks
		return "", "", false
	}
	text, err := s.Open(value, purpose, string(kind))
	if err != nil {
		return "", "", false
	}
	id, user, ok = strings.Cut(text, separator)
	return user, id, ok
}
