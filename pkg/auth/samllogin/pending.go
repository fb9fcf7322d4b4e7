package samllogin

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/auth/begun"
)

const (
	// life is how long the provider may take for its response.
	life = 10 * time.Minute
	// finishWithin is how long the browser may take for the step after that.
	finishWithin = time.Minute
	// cookieName is the name of the cookie of a login that was begun.
	cookieName = "rangefleet_saml_login"
)

// Purposes of what is sealed.
const (
	requestPurpose = "SAML request"
	cookiePurpose  = "SAML cookie"
)

// pending is a login that a browser began.
type pending struct {
	Request  string `json:"request"`
	ReturnTo string `json:"return_to"`
}

// requestPrefix starts the IDs of requests: an ID in XML starts with a letter.
const requestPrefix = "id-"

// newPending returns a login with a new request. The ID of the request proves that it was made
// here, and when, so that no request needs to be stored.
func (l *Logins) newPending(returnTo string) pending {
	made := l.cfg.Now().UTC().Format(time.RFC3339)
	return pending{Request: requestPrefix + l.cfg.Sealer.Seal(made, requestPurpose), ReturnTo: returnTo}
}

// isPending reports whether an ID is that of a request of which the response is awaited, or was
// accepted a short time ago.
func (l *Logins) isPending(request string, since time.Duration) bool {
	made, ok := l.made(request)
	age := l.cfg.Now().Sub(made)
	return ok && age >= -leeway && age < life+since
}

// made returns when a request was made.
func (l *Logins) made(request string) (time.Time, bool) {
	sealed, ok := strings.CutPrefix(request, requestPrefix)
	text, err := l.cfg.Sealer.Open(sealed, requestPurpose)
	if err != nil || !ok {
		return time.Time{}, false
	}
	made, err := time.Parse(time.RFC3339, text)
	return made, err == nil
}

// text is how a cookie holds a login.
func (p pending) text() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // two texts can be encoded
	}
	return string(text)
}

func (l *Logins) cookie() begun.Cookie {
	return begun.Cookie{Sealer: l.cfg.Sealer, Name: cookieName, Purpose: []string{cookiePurpose}, Life: life + finishWithin}
}

// open returns the login that a browser began, without a request if there is none.
func (l *Logins) open(h http.Header, secure bool) (p pending) {
	text, ok := l.cookie().Open(h, secure)
	if !ok || json.Unmarshal([]byte(text), &p) != nil {
		return pending{}
	}
	return p
}
