package server

import (
	"context"
	"errors"
	"html/template"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/auth"
)

// page is what a browser shows: who is logged in, and how to log in and out. It has no script.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Rangefleet</title>
<h1>Rangefleet</h1>
{{if .User}}<p>You are logged in as <strong id="user">{{.User}}</strong>.</p>
<form method="post" action="/logout"><button>Log out</button></form>
{{else}}<p>You are not logged in.</p>
{{range .Logins}}<p><a href="{{.Path}}">Log in with {{.Name}}</a></p>
{{else}}<p>This server has no login for browsers. Clients show an access key.</p>
{{end}}{{end}}</html>
`))

// loginLink is a way to log in by a browser.
type loginLink struct{ Name, Path string }

// loginLinks returns the logins that are set up.
func loginLinks(c Config) (all []loginLink) {
	if c.OIDC != nil {
		all = append(all, loginLink{"OpenID Connect", oidcBegin})
	}
	if c.SAML != nil {
		all = append(all, loginLink{"SAML", samlBegin})
	}
	return all
}

// home is the root of the server, as browsers see it.
type home struct {
	receiver *receiver
	logins   []loginLink
}

// page answers the page. An access key in the request is not looked at: this is no
// place to try secrets.
func (h home) page(w http.ResponseWriter, r *http.Request) {
	user, err := h.loggedIn(r.Context(), r.Header)
	if err != nil {
		h.receiver.fail(w, r, err)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	_ = page.Execute(w, map[string]any{"User": user, "Logins": h.logins}) // an error means that the client has gone
}

// loggedIn returns the user of the first session of a request that has not ended, "" if there is
// none.
func (h home) loggedIn(ctx context.Context, header http.Header) (user string, err error) {
	for _, p := range auth.Sessions(header) {
		caller, err := h.receiver.auth.Authenticate(ctx, p)
		if !errors.Is(err, auth.ErrUnauthenticated) {
			return caller.User, err
		}
	}
	return "", nil
}
