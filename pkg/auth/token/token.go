// Package token issues and verifies JSON Web Tokens: those that a login returns, which are
// signed with keys of the fleet's own, and those of an outside issuer, whose public keys are
// fetched.
//
// What signs a token decides by which algorithm it is verified; what the token says of its
// algorithm must agree.
package token

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

const (
	// maxLife is how long an own token is valid at most.
	maxLife = 8 * time.Hour

	leeway = 30 * time.Second // of the times that a token names, for clocks that differ
	ahead  = time.Minute      // how far in the future a token may have been issued
)

// ErrInvalid says that a text is no token, or none that proves anything here and now. Any other
// error says that the keys could not be read.
var ErrInvalid = errors.New("not a valid token")

// invalid explains ErrInvalid, for tests and logs. Clients must not be told.
func invalid(why any) error { return fmt.Errorf("%w: %v", ErrInvalid, why) }

// Issuer returns the issuer that a token claims to be from, which proves nothing, or ErrInvalid.
func Issuer(text string) (string, error) {
	if err := checkForm(text); err != nil {
		return "", err
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(text, &claims); err != nil {
		return "", invalid(err)
	}
	return claims.Issuer, nil
}

// form is what tokens look like. The decoder of their parts would ignore line breaks.
var form = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// checkForm refuses texts that are not worth parsing.
func checkForm(text string) error {
	if len(text) > limits.Token || !form.MatchString(text) {
		return invalid("form")
	}
	return nil
}

// parser returns what verifies tokens of an issuer for an audience.
func parser(issuer, audience string, now func() time.Time, algorithms ...string) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods(algorithms), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)
}

// verify checks a token and decodes its payload into claims, which include the registered ones.
// find returns the key that the token's header names.
func verify(p *jwt.Parser, text string, claims jwt.Claims, now time.Time, find func(kid, alg string) (any, error)) error {
	if err := checkForm(text); err != nil {
		return err
	}
	_, err := p.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if _, ok := t.Header["crit"]; ok || kid == "" {
			return nil, errors.New("header")
		}
		return find(kid, t.Method.Alg())
	})
	if err != nil {
		if unavailable, ok := errors.AsType[unavailable](err); ok {
			return unavailable.error
		}
		return invalid(err)
	}
	return checkIssued(claims, now)
}

// unavailable is an error of reading keys. It keeps its type on its way through the parser.
type unavailable struct{ error }

// checkIssued checks what the parser does not, or less exactly: when a token was issued, and
// that it has a subject.
func checkIssued(claims jwt.Claims, now time.Time) error {
	if subject, err := claims.GetSubject(); err != nil || subject == "" {
		return invalid("no subject")
	}
	issued, err := claims.GetIssuedAt()
	if err != nil || issued != nil && issued.After(now.Add(ahead)) {
		return invalid("issued in the future")
	}
	return nil
}
