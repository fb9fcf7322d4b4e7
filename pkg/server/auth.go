package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/auth"
)

// Authenticator tells who presents credentials. It is safe for concurrent use
// and neither logs nor keeps the secret.
type Authenticator interface {
	// Authenticate returns the user whose key it is, "" if it is nobody's, and
	// whether the secret is that of the key. An error means that it could not be
	// found out.
	Authenticate(ctx context.Context, accessKeyID, secret string) (user string, ok bool, err error)
}

// authenticate returns the user of a request, or "" if it shows no credentials
// that are anybody's. Credentials that cannot be read count as none. Wrong ones are
// answered later and later; it is auth.ErrSlowDown if too many wait for that.
func (h *handlers) authenticate(r *http.Request) (string, error) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", nil
	}
	from := h.proxies.client(r)
	var user string
	ok, err := h.brake.Try(r.Context(), auth.Login{AccessKeyID: id, Address: site(from)}, func() (ok bool, err error) {
		user, ok, err = h.auth.Authenticate(r.Context(), id, secret)
		if err == nil && !ok {
			h.logins.WithLabelValues("wrong").Inc()
			// A key that is nobody's may be a secret in the wrong place.
			h.log.WarnContext(r.Context(), "login failed", "request_id", requestID(r), "client", from.String(), "access_key_id", user)
		}
		return ok, err
	})
	if errors.Is(err, auth.ErrSlowDown) {
		h.logins.WithLabelValues("refused").Inc()
	}
	if err != nil || !ok {
		return "", err
	}
	return user, nil
}
