package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Login begins a session of the user of an access key, which the answer proves by a token and a
// cookie. Its 401 never challenges: a web page that logs in would show a browser's dialog.
func (h *handlers) Login(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), api.AnswerWithin)
	defer cancel()
	r = r.WithContext(ctx)
	var body api.LoginInformation
	if !h.readLogin(w, r, &body) {
		return
	}
	caller, err := h.prove(w, r, auth.KeyPair(body.AccessKeyID, body.SecretAccessKey))
	if err != nil {
		h.failLogin(w, r, err)
		return
	}
	if caller.User == "" {
		refuse(w, http.StatusUnauthorized, unauthenticated)
		return
	}
	if !h.mayChange(w, caller) {
		return
	}
	begun, err := h.auth.Begin(ctx, caller)
	switch {
	case fault.Is(err, fault.NotFound): // the user was deleted since
		refuse(w, http.StatusUnauthorized, unauthenticated)
	case err != nil:
		h.fail(w, r, err)
	default:
		http.SetCookie(w, begun.Cookie(h.secure(r)))
		answer(w, http.StatusOK, api.AuthenticationToken{Token: begun.Token, TokenExpiration: begun.Expires.Unix()})
	}
}

// readLogin reads the body of a login. If it returns false, the request is answered.
func (h *handlers) readLogin(w http.ResponseWriter, r *http.Request, body *api.LoginInformation) bool {
	release, ok := h.anonymous.acquire(r.Context(), network(h.proxies.client(r)), burstWait)
	if !ok {
		tooMany(w, busyRetryAfter, errBusy.Error())
		return false
	}
	defer release()
	hurry(w)
	in := jsonBody(into(body))
	in.limit = limits.AnonymousBody
	if code, err := in.readBody(w, r); err != nil {
		if h.admitted(w, r) {
			badBody(w, code, err)
		}
		return false
	}
	return true
}

// logoutPath is where a POST ends sessions.
const logoutPath = "/logout"

// formType is the media type of what a form of a page sends.
const formType = "application/x-www-form-urlencoded"

// logout ends the sessions that a request shows, and makes the browser forget their cookies. Those
// that have ended already are not reported: a client cannot tell who ended them.
func (h *handlers) logout(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), api.AnswerWithin)
	defer cancel()
	for _, p := range auth.Sessions(r.Header) {
		if err := h.end(ctx, w, p); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	if noted(w).caller.User == "" && !h.admitted(w, r) {
		return
	}
	for _, kind := range session.Kinds() {
		http.SetCookie(w, session.Expired(kind, h.secure(r)))
	}
	if r.Header.Get("Content-Type") == formType { // of a page, which would stay as it is
		seeOther(w, "/")
		return
	}
	answer(w, http.StatusNoContent, nil)
}

func (h *handlers) end(ctx context.Context, w http.ResponseWriter, p auth.Presented) error {
	caller, err := h.auth.Authenticate(ctx, p)
	if errors.Is(err, auth.ErrUnauthenticated) {
		return nil
	}
	if err != nil {
		return err
	}
	noted(w).caller = caller
	return h.auth.End(ctx, caller)
}

// DeleteSigningKeys replaces the keys of tokens, so that all tokens end.
func (h *handlers) DeleteSigningKeys(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		err := h.auth.ReplaceKeys(ctx)
		if err == nil {
			h.log.InfoContext(ctx, "keys of tokens replaced", "by", caller.User)
		}
		return http.StatusNoContent, nil, err
	})
}

// secure reports whether cookies of the answer to a request are for connections with TLS only.
func (c *receiver) secure(r *http.Request) bool { return c.https || r.TLS != nil }

// sameOrigin refuses requests that a page of another web site makes a browser send, unless they
// change nothing, or are the response of an identity provider. publicURL is where browsers reach the
// server, if a proxy changes the Host header. admitted answers requests of an address that sends too many.
func sameOrigin(publicURL string, admitted func(http.ResponseWriter, *http.Request) bool, next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	if publicURL != "" {
		if err := p.AddTrustedOrigin(publicURL); err != nil {
			panic(err) // the settings are validated
		}
	}
	p.AddInsecureBypassPattern(samlAccept)
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if admitted(w, r) {
			refuse(w, http.StatusForbidden, "cross-origin request")
		}
	}))
	return p.Handler(next)
}
