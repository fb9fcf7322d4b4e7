package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// Authenticator tells who presents credentials. It is safe for concurrent use
// and neither logs nor keeps the secret.
type Authenticator interface {
	// Authenticate returns the user whose credentials these are; ok is false if
	// they are nobody's. An error means that it could not be found out.
	Authenticate(ctx context.Context, accessKeyID, secret string) (user string, ok bool, err error)
}

// KeyPair is an Authenticator that knows one user.
type KeyPair struct {
	User            string // who commits; must not be empty
	AccessKeyID     string
	SecretAccessKey string // empty: nobody is authenticated
}

// Authenticate compares in a time that depends on nothing but the lengths of
// what the caller sent.
func (k KeyPair) Authenticate(_ context.Context, accessKeyID, secret string) (string, bool, error) {
	id := equal(k.AccessKeyID, accessKeyID)
	if id&equal(k.SecretAccessKey, secret) == 0 || k.SecretAccessKey == "" {
		return "", false, nil
	}
	return k.User, true, nil
}

// equal compares digests, since ConstantTimeCompare tells lengths apart at once.
func equal(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// authenticate returns the user of a request, or "" if it shows no credentials
// that are anybody's. Credentials that cannot be read count as none.
func (h *handlers) authenticate(r *http.Request) (string, error) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", nil
	}
	user, ok, err := h.auth.Authenticate(r.Context(), id, secret)
	if err != nil || !ok {
		return "", err
	}
	return user, nil
}
