package server

import (
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/oidclogin"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// OIDC is what the server needs of *oidclogin.Login. Errors that are auth.ErrUnauthenticated say
// that a login failed.
type OIDC interface {
	// Begin returns where to send a browser that wants to log in, and a cookie for it.
	Begin(ctx context.Context, returnTo string, secure bool) (location string, cookie *http.Cookie, err error)
	// Complete returns the user of the login with which a browser comes back.
	Complete(ctx context.Context, r *http.Request, secure bool) (user auth.External, returnTo string, err error)
}

const oidcBegin = "/oidc/login"

// OIDCCallback is the path to which the provider sends browsers back.
const OIDCCallback = oidclogin.CallbackPath

// oidcLogins logs browsers in at an OpenID Connect provider.
type oidcLogins struct {
	browserLogins
	oidc   OIDC
	atOnce slots // logins that may be waiting for the provider
}

// routeOIDC adds the paths of logins, if there is a provider.
func routeOIDC(mux *http.ServeMux, c Config, r *receiver) *oidcLogins {
	if c.OIDC == nil {
		return nil
	}
	o := &oidcLogins{browserLogins{of: r}, c.OIDC, make(slots, limits.BrowserLogins)}
	mux.HandleFunc("GET "+oidcBegin, o.begin)
	mux.HandleFunc("GET "+OIDCCallback, o.complete)
	return o
}

// begin sends a browser to the provider.
func (o *oidcLogins) begin(w http.ResponseWriter, r *http.Request) {
	o.bounded(w, r, func(w http.ResponseWriter, r *http.Request) {
		location, cookie, err := o.oidc.Begin(r.Context(), returnPath(r.URL.Query().Get("return_to")), o.of.secure(r))
		if err != nil {
			o.refuse(w, r, err)
			return
		}
		http.SetCookie(w, cookie)
		seeOther(w, location)
	})
}

// complete begins the session of the user for whom the provider vouches.
func (o *oidcLogins) complete(w http.ResponseWriter, r *http.Request) {
	o.bounded(w, r, func(w http.ResponseWriter, r *http.Request) {
		user, returnTo, err := o.oidc.Complete(r.Context(), r, o.of.secure(r))
		if err != nil {
			o.refuse(w, r, err)
			return
		}
		o.browserLogins.complete(w, r, user, returnTo)
	})
}

// bounded serves a request that may wait for the provider, for a while and beside few others, so
// that a slow provider does not keep requests from being served that need none. It counts as one that
// proves no user.
func (o *oidcLogins) bounded(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), api.AnswerWithin)
	defer cancel()
	if !o.of.admitted(w, r) {
		return
	}
	if !o.atOnce.acquire(ctx, burstWait) {
		tooMany(w, busyRetryAfter, "too many logins at a time, try again")
		return
	}
	defer o.atOnce.release()
	serve(w, r.WithContext(ctx))
}

// OauthCallback ends a login at the path that lakeFS has for it.
func (h *handlers) OauthCallback(w http.ResponseWriter, r *http.Request) {
	if h.oidc == nil {
		refuse(w, http.StatusNotImplemented, "oauthCallback is not supported: no provider is set up (auth.oidc.issuer)")
		return
	}
	h.oidc.complete(w, r)
}

// longestValue returns the length in bytes of the longest value that a query of a path may have.
func longestValue(path string) int {
	if path == OIDCCallback || path == api.BaseURL+OIDCCallback {
		return limits.LoginCode
	}
	return limits.Key
}
