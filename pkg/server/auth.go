package server

import (
	"context"
	"net/http"
)

// Authenticator tells who presents credentials. It is safe for concurrent use
// and neither logs nor keeps the secret.
type Authenticator interface {
	// Authenticate returns the user whose credentials these are; ok is false if
	// they are nobody's. An error means that it could not be found out.
	Authenticate(ctx context.Context, accessKeyID, secret string) (user string, ok bool, err error)
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
