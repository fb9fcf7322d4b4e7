package samllogin

import (
	"encoding/json"
	"time"
)

const (
	// Life is how long the provider may take for its response.
	Life = 10 * time.Minute
	// finishWithin is how long the browser may take for the step after that.
	finishWithin = time.Minute
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
	return ok && age >= -leeway && age < Life+since
}

// made returns when a request was made.
func (l *Logins) made(request string) (time.Time, bool) {
	if len(request) < len(requestPrefix) || request[:len(requestPrefix)] != requestPrefix {
		return time.Time{}, false
	}
	text, err := l.cfg.Sealer.Open(request[len(requestPrefix):], requestPurpose)
	if err != nil {
		return time.Time{}, false
	}
	made, err := time.Parse(time.RFC3339, text)
	return made, err == nil
}

// seal returns the value of a cookie.
func (l *Logins) seal(p pending) string {
	text, _ := json.Marshal(p) // two texts always can be
	return l.cfg.Sealer.Seal(string(text), cookiePurpose)
}

// open is the inverse of seal.
func (l *Logins) open(cookie string) (p pending, ok bool) {
	text, err := l.cfg.Sealer.Open(cookie, cookiePurpose)
	return p, err == nil && json.Unmarshal([]byte(text), &p) == nil
}
