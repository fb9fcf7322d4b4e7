package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// browserLogins ends the logins of browsers at identity providers, of all protocols.
type browserLogins struct{ of *receiver }

// complete begins a session of a user whom a provider vouches for, and sends the browser to a
// path of this server.
func (b browserLogins) complete(w http.ResponseWriter, r *http.Request, e auth.External, returnTo string) {
	begun, err := b.of.auth.BeginExternal(r.Context(), e)
	if fault.Is(err, fault.Forbidden) { // the user is known, though refused
		noted(w).caller.User, _ = access.ExternalUser(e.Provider, e.Issuer, e.Subject)
	}
	if err != nil {
		b.refuse(w, r, err)
		return
	}
	noted(w).caller = begun.Caller()
	http.SetCookie(w, begun.Cookie(b.of.secure(r)))
	seeOther(w, returnPath(returnTo))
}

// refuse answers a login that begins no session. The answer says why only if the client may try
// again, or has proved who it is. The log says why, and errors of logins hold no codes, tokens or
// assertions.
func (b browserLogins) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f, _ := errors.AsType[*fault.Fault](err)
	again := f != nil && (f.Kind == fault.Later || f.Kind == fault.Busy)
	if again || f == nil && !errors.Is(err, auth.ErrUnauthenticated) {
		b.of.fail(w, r, err)
		return
	}
	b.of.failed.WithLabelValues("wrong").Inc()
	b.of.log.WarnContext(r.Context(), "login failed", "request_id", requestID(w), "client", b.of.proxies.client(r).String(), "route", route(r), "err", err)
	if f != nil && f.Kind == fault.Forbidden {
		refuse(w, http.StatusForbidden, f.Error())
		return
	}
	refuse(w, http.StatusBadRequest, "invalid login")
}

// seeOther sends a browser elsewhere, by a GET.
func seeOther(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// returnPath returns the path to which a browser goes after its login: what the request for the
// login named, if that is a path of this server for every browser, and else "/".
func returnPath(text string) string {
	// Browsers drop tabs and line breaks, and take a backslash for a slash.
	outside := func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }
	_, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsFunc(text, outside) {
		return "/"
	}
	return text
}
