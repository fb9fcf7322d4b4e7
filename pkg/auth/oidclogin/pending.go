package oidclogin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/auth/begun"
)

// maxAway is how long a browser may be at the provider.
const maxAway = 10 * time.Minute

// pending is a login whose browser is at the provider.
type pending struct {
	State    string    `json:"state"`    // is in the answer of the provider
	Nonce    string    `json:"nonce"`    // is in the ID token
	Verifier string    `json:"verifier"` // proves to the provider that the code is for this login
	ReturnTo string    `json:"return_to"`
	Expires  time.Time `json:"expires"`
}

// carrier returns the cookie that carries logins, for one client of one provider.
func carrier(c Config) begun.Cookie {
	return begun.Cookie{Sealer: c.Sealer, Name: "rangefleet_oidc_login", Purpose: []string{"oidc login", c.Issuer, c.ClientID}, Life: maxAway}
}

// cookie returns the cookie that carries the login.
func (p pending) cookie(c Config, secure bool) *http.Cookie {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // a time of this century can be encoded
	}
	return carrier(c).Holding(string(text), secure)
}

// open returns the login that the cookies of a request carry, unless it has expired.
func open(c Config, h http.Header, secure bool) (p pending, ok bool) {
	text, ok := carrier(c).Open(h, secure)
	if !ok || json.Unmarshal([]byte(text), &p) != nil {
		return pending{}, false
	}
	return p, p.State != "" && p.Nonce != "" && p.Verifier != "" && c.Now().Before(p.Expires)
}
