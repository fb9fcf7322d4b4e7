package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// SAML is what the server needs of *samllogin.Logins. Errors that are auth.ErrUnauthenticated say
// that a login failed.
type SAML interface {
	// Begin returns where to send a browser that wants to log in, and a cookie for it.
	Begin(returnTo string, secure bool) (location string, cookie *http.Cookie, err error)
	// Accept takes the response of the identity provider.
	Accept(ctx context.Context, response string) error
	// Finish returns the user of the login that the browser with these cookies began.
	Finish(ctx context.Context, h http.Header, secure bool) (user auth.External, returnTo string, err error)
	// Metadata returns what the identity provider must know of the server.
	Metadata() ([]byte, error)
}

const (
	// samlAccept is the only path to which pages of other web sites may make a browser send
	// something: the response of the identity provider, which proves its origin itself.
	samlAccept = "POST " + samllogin.AcceptPath
	samlFinish = "/sso/finish"
	samlBegin  = "/sso/login-saml"
)

const (
	// maxForm is the length in bytes of the longest form with a response. It is encoded in
	// Base64, and a few of its characters take three.
	maxForm = 2 * limits.SAMLResponse
	// forResponse is the memory in bytes that a response takes while it is checked.
	forResponse = 16 << 20
)

// samlLogins logs browsers in at a SAML identity provider.
type samlLogins struct {
	browserLogins
	saml    SAML
	admit   func(http.ResponseWriter, *http.Request) bool // answers requests of an address that sends too many
	budget  *Budget
	forms   *shares // for reading responses
	proxies Proxies
}

// samlForms is the number of responses that are read at a time, and samlShare how many of one
// address. Each is in memory as a whole.
const (
	samlForms = 8
	samlShare = 2
)

// routeSAML adds the paths of logins, if there is an identity provider.
func routeSAML(mux *http.ServeMux, c Config, r *receiver) {
	if c.SAML == nil {
		return
	}
	samlLogins{
		browserLogins: browserLogins{of: r}, saml: c.SAML, admit: r.admitted, budget: c.Memory, forms: newShares(samlForms, samlShare), proxies: c.Proxies,
	}.route(mux)
}

// route adds the paths of logins. The operations are those of browsers, and in no API.
func (s samlLogins) route(mux *http.ServeMux) {
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET " + samlBegin: s.begin, samlAccept: s.accept, "GET " + samlFinish: s.finish, "GET " + samllogin.MetadataPath: s.metadata,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), api.AnswerWithin)
			defer cancel()
			if s.admit(w, r) {
				serve(w, r.WithContext(ctx))
			}
		})
	}
}

// begin sends a browser to the identity provider.
func (s samlLogins) begin(w http.ResponseWriter, r *http.Request) {
	location, cookie, err := s.saml.Begin(returnPath(r.URL.Query().Get("return_to")), s.of.secure(r))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	http.SetCookie(w, cookie)
	seeOther(w, location)
}

// accept takes the response of the identity provider, which a page of it makes the browser post.
// No cookie of SameSite=Lax comes with that, so that it is not known whether this browser began
// the login. If this request began the session, anybody could log a browser in as somebody else.
// The request to which the answer leads comes with the cookie.
func (s samlLogins) accept(w http.ResponseWriter, r *http.Request) {
	response, err := s.response(w, r)
	if err == nil {
		err = s.check(r.Context(), response)
	}
	switch {
	case errors.Is(err, errBusy):
		tooMany(w, busyRetryAfter, err.Error())
	case err != nil:
		s.refuse(w, r, err)
	default:
		seeOther(w, samlFinish)
	}
}

// response reads the form of a request.
func (s samlLogins) response(w http.ResponseWriter, r *http.Request) (string, error) {
	release, ok := s.forms.acquire(r.Context(), network(s.proxies.client(r)), burstWait)
	if !ok {
		return "", errBusy
	}
	defer release()
	hurry(w)
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	defer discard(r.Body)
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("%w: the form: %w", auth.ErrUnauthenticated, err)
	}
	if n := len(r.PostForm["SAMLResponse"]); n != 1 {
		return "", fmt.Errorf("%w: the form has %d fields SAMLResponse", auth.ErrUnauthenticated, n)
	}
	return r.PostForm.Get("SAMLResponse"), nil
}

// check has a response checked once there is memory for it.
func (s samlLogins) check(ctx context.Context, response string) error {
	release, err := s.budget.take(ctx, forResponse)
	if err != nil {
		return err
	}
	defer release()
	return s.saml.Accept(ctx, response)
}

// finish begins the session of the user for whom the identity provider vouches, in the browser
// that began the login.
func (s samlLogins) finish(w http.ResponseWriter, r *http.Request) {
	user, returnTo, err := s.saml.Finish(r.Context(), r.Header, s.of.secure(r))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.complete(w, r, user, returnTo)
}

// metadata answers what the identity provider must know.
func (s samlLogins) metadata(w http.ResponseWriter, r *http.Request) {
	text, err := s.saml.Metadata()
	if err != nil {
		s.of.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(text)
}
